// SPDX-License-Identifier: Apache-2.0
#include "appliance/release/verdict.h"

#include <algorithm>

#include "attest/external.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::release {

namespace {

std::vector<policy::MeasurementFact> facts_of(const std::vector<attest::Measurement>& measurements) {
  std::vector<policy::MeasurementFact> out;
  out.reserve(measurements.size());
  for (const auto& m : measurements) out.push_back({m.name, m.digest, m.svn});
  return out;
}

policy::CardFacts card_facts(const Verified& verified) {
  const attest::Claims& claims = *verified.evidence.claims;
  policy::CardFacts card;
  card.scheme = verified.scheme;
  if (verified.evidence.root) card.root = copy(*verified.evidence.root);
  card.crls_current = verified.evidence.crls_current;
  card.ueid = claims.ueid;
  card.oemid = claims.oemid;
  card.hwmodel = claims.hwmodel;
  if (claims.hwversion) card.hwversion = claims.hwversion->text;
  card.oemboot = claims.oemboot;
  card.dbgstat = claims.dbgstat;
  if (claims.lifecycle) card.lifecycle = attest::lifecycle_name(*claims.lifecycle);
  if (claims.session_key) card.session_key = attest::to_string(claims.session_key->type);
  card.session_key_fault = claims.session_key_fault;
  card.aud = claims.aud;
  card.nonce = claims.nonce;
  card.measurements = facts_of(claims.measurements);
  for (const auto& submod : claims.submods)
    card.submods.push_back({submod.name, submod.dbgstat, facts_of(submod.measurements)});
  return card;
}

policy::MekFacts mek_facts(const VerdictInputs& inputs, const Bytes& id) {
  const auto found = inputs.state.meks.find(id);
  if (found == inputs.state.meks.end()) return {"", id, 0, 0};
  return {found->second.label, id, inputs.releases(id), found->second.encryptions};
}

bool token_serves(const std::vector<keys::SuiteAbility>& abilities, keys::Suite suite, keys::PeerType type) {
  return abilities.empty() || std::any_of(abilities.begin(), abilities.end(),
                                          [&](const auto& a) { return a.suite == suite && a.type == type; });
}

// The first suite of the MEK's rule, in the policy's order, that both key and token can do.
std::optional<keys::Suite> choose_suite(const VerdictInputs& inputs, const std::string& label,
                                        keys::PeerType type) {
  const policy::MekRule* rule = inputs.policy.mek(label);
  if (rule == nullptr) return std::nullopt;
  for (const unsigned number : rule->suites.value) {
    const auto suite = keys::suite_from(number);
    if (suite && keys::serves(*suite, type) && token_serves(inputs.suites, *suite, type)) return suite;
  }
  return std::nullopt;
}

attest::VerifyContext context_of(const policy::Policy& policy, const std::string& scheme,
                                 const trust::Trust& trust, UnixTime now) {
  attest::VerifyContext context;
  context.now = now;
  context.anchors.roots = trust::ders(trust.roots);
  context.anchors.crls = trust::ders(trust.crls);
  context.anchors.crl_floors = trust.crl_floors;
  for (const policy::DeviceClass& device : policy.devices) {
    if (device.scheme.value != scheme) continue;
    for (const Bytes& root : device.roots.value) {
      Sha256Digest digest{};
      if (root.size() != digest.size()) continue;
      std::copy(root.begin(), root.end(), digest.begin());
      context.anchors.allowed.push_back(digest);
    }
  }
  return context;
}

// A nonce is 32 random bytes: where they stand in a report, its maker was asked.
std::vector<attest::ExpectedChallenge> challenges_in(const audit::State& state, ByteView report) {
  constexpr std::size_t kNonceSize = 32;  // bytes
  std::vector<attest::ExpectedChallenge> out;
  for (std::size_t at = 0; at + kNonceSize <= report.size(); ++at) {
    const auto found = state.challenges.find(copy(report.subspan(at, kNonceSize)));
    if (found == state.challenges.end()) continue;
    const audit::Challenge& challenge = found->second;
    if (std::ranges::find(out, challenge.nonce, &attest::ExpectedChallenge::nonce) != out.end()) continue;
    out.push_back({challenge.nonce, from_hex(encoding::text_member(state.genesis, "aud")), challenge.ueid,
                   challenge.expires});
  }
  return out;
}

std::unique_ptr<attest::Scheme> external_scheme(const std::string& id, const audit::State* state) {
  if (state == nullptr)
    throw Error(ErrorKind::Denied,
                "evidence of scheme '" + id + "' is verified by a program of the site's alone",
                "the log says which one it was, and what it answered");
  const std::string name = id.substr(policy::kExternalScheme.size());
  const audit::PinnedProgram* pinned = audit::find_program(state->site, name);
  if (pinned == nullptr)
    throw Error(ErrorKind::Denied,
                "the policy names scheme '" + id + "', and the site's facts pin no such program",
                "'qpcseal site change --program " + name + "=PATH' pins one");
  attest::VerifierProgram program{name, {pinned->program.path, pinned->program.sha256}, {}};
  for (const audit::PinnedFile& file : pinned->files) program.files.push_back({file.path, file.sha256});
  return attest::make_external_scheme(program);
}

std::vector<std::string> schemes_of(const policy::Policy& policy) {
  std::vector<std::string> out;
  for (const policy::DeviceClass& device : policy.devices)
    if (std::find(out.begin(), out.end(), device.scheme.value) == out.end())
      out.push_back(device.scheme.value);
  return out;
}

}  // namespace

bool names_external(const policy::Policy& policy) {
  return std::ranges::any_of(policy.devices, [](const policy::DeviceClass& device) {
    return device.scheme.value.starts_with(policy::kExternalScheme);
  });
}

namespace {

Report read_any(const std::filesystem::path& path, bool any_form) {
  Report report{path.string(), read_file(path, attest::kMaxReport), {}};
  if (report.bytes.empty())
    throw Error(ErrorKind::Malformed, path.string() + " is empty, not an attestation report");
  with_context(path.string(), [&] { attest::refuse_other_kind(report.bytes, any_form); });
  report.digest = sha256(report.bytes);
  return report;
}

}  // namespace

Report read_report(const std::filesystem::path& path, bool any_form) {
  Report report = read_any(path, any_form);
  if (!any_form) with_context(path.string(), [&] { attest::require_report_form(report.bytes); });
  return report;
}

Report read_unchecked_report(const std::filesystem::path& path, bool any_form) {
  return read_any(path, any_form);
}

Verifier::Verifier(const policy::Policy& policy, const trust::Trust& trust, UnixTime now,
                   const audit::State* state)
    : collateral_(trust.collateral) {
  for (const std::string& id : schemes_of(policy)) {
    const bool external = id.starts_with(policy::kExternalScheme);
    auto scheme = external ? external_scheme(id, state) : attest::find_scheme(id);
    if (!scheme)
      throw Error(ErrorKind::Denied,
                  "the policy names scheme '" + id + "', which this program does not know");
    ways_.push_back({std::move(scheme), context_of(policy, id, trust, now)});
    if (external)
      ways_.back().context.find_challenges = [state](ByteView report) {
        return challenges_in(*state, report);
      };
  }
}

Verified Verifier::verify(const Report& report) const {
  std::optional<Verified> best_failure;
  for (const auto& [scheme, context] : ways_) {
    Verified verified{std::string(scheme->id()), scheme->verify(report.bytes, context), collateral_};
    if (verified.evidence.claims) return verified;
    if (!best_failure || scheme->recognises(report.bytes)) best_failure = std::move(verified);
  }
  return std::move(best_failure.value());
}

Verified verify_attestation(const Report& report, const policy::Policy& policy, const trust::Trust& trust,
                            UnixTime now, const audit::State* state) {
  return Verifier(policy, trust, now, state).verify(report);
}

bool verify_alike(const policy::Policy& a, const policy::Policy& b) {
  const auto allowed = [](const policy::Policy& policy, const std::string& scheme) {
    auto roots = context_of(policy, scheme, {}, 0).anchors.allowed;
    std::ranges::sort(roots);
    return roots;
  };
  return schemes_of(a) == schemes_of(b) && std::ranges::all_of(schemes_of(a), [&](const std::string& scheme) {
           return allowed(a, scheme) == allowed(b, scheme);
         });
}

std::uint64_t VerdictInputs::releases(const Bytes& mek) const {
  const auto found = state.meks.find(mek);
  return found == state.meks.end() ? 0
                                   : found->second.releases - std::min(own_releases, found->second.releases);
}

std::uint64_t VerdictInputs::card_releases(const Bytes& ueid) const {
  const auto found = state.card_releases.find(ueid);
  return found == state.card_releases.end() ? 0 : found->second - std::min(own_card_releases, found->second);
}

const audit::OpenIntent* unfinished_release(const audit::State& state, const audit::Challenge& challenge,
                                            const Sha256Digest& report) {
  if (challenge.consumed_by != to_hex(report)) return nullptr;
  const auto open = state.open.find(challenge.intent);
  if (open == state.open.end() || open->second.kind != "release") return nullptr;
  const encoding::Json& intent = open->second.data;
  const bool same =
      encoding::text_member(intent, "report_sha256") == challenge.consumed_by &&
      encoding::text_member(intent, "mek_id") == to_hex(challenge.mek_id) &&
      encoding::text_member(encoding::member(intent, "policy"), "digest") == state.policy_digest;
  return same ? &open->second : nullptr;
}

policy::ChallengeFacts challenge_facts(const audit::State& state, const Bytes& nonce, const Report& report) {
  policy::ChallengeFacts out;
  const auto found = state.challenges.find(nonce);
  if (found == state.challenges.end()) return out;
  const audit::Challenge& challenge = found->second;
  out.known = true;
  out.consumed = challenge.consumed && unfinished_release(state, challenge, report.digest) == nullptr;
  out.aud = from_hex(encoding::text_member(state.genesis, "aud"));
  out.nonce = challenge.nonce;
  out.mek_id = challenge.mek_id;
  out.ueid = challenge.ueid;
  out.made = challenge.made;
  out.expiry = challenge.expires;
  return out;
}

keys::PeerType peer_type(attest::SessionKeyType type) {
  switch (type) {
    case attest::SessionKeyType::P256:
      return keys::PeerType::P256;
    case attest::SessionKeyType::P384:
      return keys::PeerType::P384;
    case attest::SessionKeyType::Rsa:
      break;
  }
  return keys::PeerType::Rsa;
}

keys::Peer session_peer(const attest::Claims& claims) {
  const attest::SessionKey& key = claims.session_key.value();
  return {peer_type(key.type), key.public_key, claims.ueid};
}

Verdict judge(const VerdictInputs& inputs, const policy::ChallengeFacts& challenge,
              const Verified& verified) {
  const attest::Claims& claims = *verified.evidence.claims;
  policy::Facts facts;
  facts.now = inputs.now;
  facts.challenge = challenge;
  facts.mek = mek_facts(inputs, inputs.mek_id.value_or(facts.challenge.mek_id));
  facts.card = card_facts(verified);
  facts.collateral = verified.collateral;
  facts.releases_wanted = inputs.releases_wanted;
  facts.card_releases = inputs.card_releases(claims.ueid);
  for (const auto& [subject, svn] : inputs.state.svn_floors)
    facts.svn_floors.push_back({subject.scheme, subject.hwmodel, subject.name, svn});
  facts.format = inputs.format;
  std::optional<keys::Suite> suite;
  if (claims.session_key && inputs.format == policy::kOwnFormat)
    suite = choose_suite(inputs, facts.mek.label, peer_type(claims.session_key->type));
  facts.suite = suite ? static_cast<unsigned>(*suite) : 0;
  return {policy::evaluate(inputs.policy, facts), suite, facts.mek.id, facts.mek.label};
}

}  // namespace qpcseal::release
