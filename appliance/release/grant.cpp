// SPDX-License-Identifier: Apache-2.0
#include "appliance/release/grant.h"

#include "appliance/release/verdict_record.h"
#include "base/error.h"
#include "base/parallel.h"

namespace qpcseal::release {

namespace {

using encoding::Json;

Grant grant_of(const audit::State& state, const ReleaseItem& c) {
  Grant grant;
  grant.report = c.report->name;
  grant.report_digest = c.report->digest;
  grant.claims = c.claims();
  grant.device_class = c.verdict->decision.device_class();
  grant.crls = c.verified.evidence.crls;
  grant.trust = c.verdict->decision.trust();
  grant.svn_minimums = c.verdict->decision.svn_minimums();
  const audit::Challenge& challenge = state.challenges.at(c.claims().nonce);
  grant.host = challenge.host;
  grant.device = challenge.device;
  return grant;
}

// The only caller of keys::wrap_mek for a card. A Decision that allows can come from the policy's evaluation
// alone.
keys::WrappedMek wrap_for(pkcs11::Session& session, const keys::Mek& mek, const ReleaseItem& c) {
  if (!c.allowed()) throw Error(ErrorKind::Internal, "a release without a decision that allows it");
  return with_context("releasing " + mek.label + " to card " + to_hex(c.claims().ueid), [&] {
    return keys::wrap_mek(session, mek, c.verdict->suite.value(), session_peer(c.claims()), c.claims().nonce);
  });
}

// find_lost_wraps() has held it to the log.
const keys::WrappedMek& kept_wrap(const site::PendingWraps& pending, const ReleaseItem& c) {
  const auto* kept = pending.find(c.report->digest);
  if (!c.allowed() || kept == nullptr)
    throw Error(ErrorKind::Internal, "a release that goes on without its wrapped key");
  return *kept;
}

// Those whose wrap failed drop out of both.
std::vector<Grant> without_faults(std::vector<Grant> grants, std::vector<ReleaseItem*>& candidates) {
  std::vector<Grant> out;
  std::vector<ReleaseItem*> whole;
  for (std::size_t i = 0; i < grants.size(); ++i) {
    if (!candidates[i]->fault.empty()) continue;
    out.push_back(std::move(grants[i]));
    whole.push_back(candidates[i]);
  }
  if (whole.empty()) throw Error(ErrorKind::Token, candidates.front()->fault);
  candidates = std::move(whole);
  return out;
}

}  // namespace

std::vector<Grant> wrap_all(site::Appliance& appliance, const keys::Mek& mek,
                            std::vector<ReleaseItem*>& candidates, const site::PendingWraps& pending) {
  std::vector<Grant> grants = grants_for(appliance, candidates);
  const auto worker = [&]() -> Work {
    const auto session =
        std::make_shared<pkcs11::Session>(appliance.module(), appliance.token(), pkcs11::Access::ReadOnly);
    return [&, session](std::uint64_t i) {
      ReleaseItem& c = *candidates[i];
      try {
        grants[i].wrapped = c.is_wrapped() ? kept_wrap(pending, c) : wrap_for(*session, mek, c);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::Token || candidates.size() == 1) throw;
        c.fault = error.what();
      }
    };
  };
  run_parallel(default_threads(), grants.size(), worker, {});
  return without_faults(std::move(grants), candidates);
}

std::vector<Grant> grants_for(const site::Appliance& appliance, const std::vector<ReleaseItem*>& candidates) {
  std::vector<Grant> out;
  out.reserve(candidates.size());
  for (const ReleaseItem* c : candidates) out.push_back(grant_of(appliance.log().state(), *c));
  return out;
}

std::map<Sha256Digest, keys::WrappedMek> wraps_of(const std::vector<Grant>& grants) {
  std::map<Sha256Digest, keys::WrappedMek> out;
  for (const Grant& grant : grants) out.emplace(grant.report_digest, grant.wrapped);
  return out;
}

Json wrapped_data(const keys::Mek& mek, const ReleaseItem& c, const Grant& grant) {
  const Json facts = granted_facts(c.verified, *c.verdict);
  Json out{{"mek_id", to_hex(mek.id)},
           {"mek", mek.label},
           {"ueid", to_hex(c.claims().ueid)},
           {"suite", facts.at("suite")},
           {"session_key", facts.at("session_key")},
           {"raised", {{"svn_floors", facts.at("svn_floors")}, {"crls", facts.at("crls")}}}};
  if (!grant.exposed.is_null())
    out["exposed"] = grant.exposed;
  else
    out.update({{"wrapped_sha256", sha256_hex(grant.wrapped.encrypt)},
                {"pub_sha256", sha256_hex(grant.wrapped.pub)}});
  return out;
}

audit::Outcome denied_outcome(const site::Appliance& appliance, const ReleaseItem& c) {
  if (c.is_wrapped()) {
    const std::string why =
        c.findings().empty() ? "another report of the run is denied" : finding_ids(c.findings());
    return {c.txn, "unknown", {{"error", "the key was wrapped by a run that was cut short; now: " + why}}};
  }
  Json data = denied_facts(c.verified, *c.verdict);
  data.update({{"policy", policy_facts(appliance)}, {"judged", c.judged}});
  return {c.txn, "denied", std::move(data)};
}

audit::Outcome granted_outcome(const site::Appliance& appliance, const keys::Mek& mek, const ReleaseItem& c,
                               const Grant& grant, Json act) {
  Json data = granted_facts(c.verified, *c.verdict);
  data.update({{"mek_id", to_hex(mek.id)},
               {"mek", mek.label},
               {"report_sha256", to_hex(grant.report_digest)},
               {"policy", policy_facts(appliance)},
               {"judged", c.judged},
               {"token_serial", appliance.token().serial},
               {"act", std::move(act)}});
  if (!grant.exposed.is_null())
    data["exposed"] = grant.exposed;
  else
    data["wrapped_sha256"] = sha256_hex(grant.wrapped.encrypt);
  return {c.txn, "ok", std::move(data)};
}

}  // namespace qpcseal::release
