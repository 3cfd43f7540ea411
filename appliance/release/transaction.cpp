// SPDX-License-Identifier: Apache-2.0
#include "appliance/release/transaction.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "appliance/release/challenge.h"
#include "appliance/release/consumption.h"
#include "appliance/site/logged_act.h"
#include "base/error.h"

namespace qpcseal::release {

namespace {

using encoding::Json;

bool is_used(const ReleaseItem& c) {
  const Findings& findings = c.findings();
  return std::ranges::find(findings, "POL-CHALLENGE-USED", &Finding::id) != findings.end();
}

// Why each is denied, and what used up its challenge.
std::string words_of(const site::Appliance& appliance, const std::vector<const ReleaseItem*>& denied) {
  std::vector<Bytes> nonces;
  for (const ReleaseItem* c : denied)
    if (is_used(*c)) nonces.push_back(c->claims().nonce);
  const auto uses = uses_of_challenges(appliance.home(), appliance.log().state(), nonces);
  std::string out;
  for (const ReleaseItem* c : denied) {
    out += (out.empty() ? "" : "; ") + c->report->name + " is denied: " + finding_ids(c->findings());
    if (!is_used(*c)) continue;
    const auto use = uses.find(c->claims().nonce);
    out += "; " + (use == uses.end() ? std::string() : use->second);
  }
  return out;
}

// Each finding, which names its report where there is more than one.
Findings findings_of(const std::vector<const ReleaseItem*>& denied) {
  if (denied.size() == 1) return denied[0]->findings();
  Findings out;
  for (const ReleaseItem* c : denied) {
    for (Finding finding : c->findings()) {
      finding.claim.insert(0, c->report->name + ": ");
      out.push_back(std::move(finding));
    }
  }
  return out;
}

// All denied reports at once. `others` passed, and their answers are used up all the same.
[[noreturn]] void deny(const site::Appliance& appliance, const keys::Mek& mek,
                       const std::vector<const ReleaseItem*>& denied, std::size_t others) {
  const std::string words = words_of(appliance, denied);
  Findings findings = findings_of(denied);
  std::string hint = new_request_hint(findings, mek.label);
  if (others > 0)
    hint = std::string(others == 1 ? "the other card's answer is" : "the other cards' answers are") +
           " used up, too: ask all of them anew (qpcseal attest request)";
  if (hint.empty())
    hint = denied.size() == 1 ? "'qpcseal attest verify' shows what the card says"
                              : "'qpcseal attest verify' shows what each card says";
  throw Error(ErrorKind::Denied, words, std::move(hint), std::move(findings));
}

void deny_any(const site::Appliance& appliance, const keys::Mek& mek,
              const std::vector<ReleaseItem>& candidates, bool (*passes)(const ReleaseItem&),
              std::size_t others = 0) {
  std::vector<const ReleaseItem*> denied;
  for (const ReleaseItem& c : candidates)
    if (!passes(c)) denied.push_back(&c);
  if (!denied.empty()) deny(appliance, mek, denied, others);
}

std::vector<ReleaseItem*> select(std::vector<ReleaseItem>& candidates, bool (ReleaseItem::*quality)() const) {
  std::vector<ReleaseItem*> out;
  for (ReleaseItem& c : candidates)
    if ((c.*quality)()) out.push_back(&c);
  return out;
}

// Results for all of `candidates` that may not pass; where `all`, for the others too.
void log_denials(site::Appliance& appliance, const std::vector<ReleaseItem*>& candidates, bool all) {
  std::vector<audit::Outcome> outcomes;
  for (const ReleaseItem* c : candidates)
    if (all || !c->allowed()) outcomes.push_back(denied_outcome(appliance, *c));
  if (!outcomes.empty()) appliance.log().results(std::move(outcomes));
}

// The entry first: what nobody can have read yet is counted before anybody can. Where the log has it and what
// follows failed, the keys are kept all the same: the same command goes on with them.
void count_wrapped(site::Appliance& appliance, const keys::Mek& mek, site::PendingWraps& pending,
                   const std::vector<std::pair<const ReleaseItem*, const Grant*>>& wraps) {
  std::vector<audit::Txn> txns;
  std::vector<Json> data;
  std::map<Sha256Digest, keys::WrappedMek> keys;
  for (const auto& [candidate, grant] : wraps) {
    txns.push_back(candidate->txn);
    data.push_back(wrapped_data(mek, *candidate, *grant));
    keys.emplace(grant->report_digest, grant->wrapped);
  }
  pending.prepare(keys);
  try {
    appliance.log().wrapped(txns, std::move(data));
  } catch (const audit::AppendError& error) {
    if (error.appended() == audit::Appended::Durable) pending.keep();
    throw;
  }
  pending.keep();
}

}  // namespace

std::vector<Sha256Digest> digests_of(const std::vector<Report>& reports) {
  std::vector<Sha256Digest> out;
  out.reserve(reports.size());
  for (const Report& report : reports) out.push_back(report.digest);
  return out;
}

void publish(OutputSet& outputs) {
  site::after_result("the release is done",
                     "the release counts and its challenge is used up: ask the card for a new report",
                     [&] { outputs.commit(); });
}

Transaction::Transaction(site::Appliance& appliance, const keys::Mek& mek, const std::vector<Report>& reports,
                         const ReleaseApproval& approval, Mode mode, std::string_view format,
                         const Hindrance& hindrance)
    : appliance_(appliance),
      mek_(mek),
      mode_(mode),
      format_(format),
      candidates_(verify_all(appliance, reports)),
      pending_(appliance.home(), appliance.log().state()) {
  begin(approval, hindrance);
}

void Transaction::begin(const ReleaseApproval& approval, const Hindrance& hindrance) {
  const bool all = mode_ == Mode::AllOrNone;
  record_unverified(appliance_, mek_, candidates_);
  if (all) deny_any(appliance_, mek_, candidates_, [](const ReleaseItem& c) { return c.verifies(); });
  find_others_challenges(appliance_.log().state(), mek_, candidates_);
  find_other_format(appliance_.log().state(), format_, candidates_);
  find_duplicates(candidates_);
  record_refused(appliance_, mek_, candidates_);
  if (all) deny_any(appliance_, mek_, candidates_, [](const ReleaseItem& c) { return c.obstacle.empty(); });
  if (hindrance)
    for (ReleaseItem* c : select(candidates_, &ReleaseItem::may_consume)) c->fault = hindrance(*c);
  const std::vector<ReleaseItem*> verified = select(candidates_, &ReleaseItem::may_consume);
  if (verified.empty()) return;
  close_stale(appliance_, mek_, verified);
  consume(appliance_, mek_, approval, verified);
  find_lost_wraps(pending_, format_, verified);
  decide(appliance_, mek_, all ? Count::Together : Count::Each, format_, verified);
  allowed_ = select(candidates_, &ReleaseItem::allowed);
  const bool denied = allowed_.size() < verified.size();
  if (denied) log_denials(appliance_, verified, all);
  if (denied && all)
    deny_any(
        appliance_, mek_, candidates_, [](const ReleaseItem& c) { return c.allowed(); }, allowed_.size());
}

bool Transaction::would_pass(site::Appliance& appliance, const keys::Mek& mek,
                             const std::vector<Report>& reports) {
  std::vector<ReleaseItem> candidates = verify_all(appliance, reports);
  const auto verifies = [](const ReleaseItem& c) { return c.verifies(); };
  if (!std::ranges::all_of(candidates, verifies)) return false;
  find_others_challenges(appliance.log().state(), mek, candidates);
  find_duplicates(candidates);
  close_stale(appliance, mek, select(candidates, &ReleaseItem::may_consume));
  std::vector<ReleaseItem*> all;
  for (ReleaseItem& c : candidates) all.push_back(&c);
  look_up_challenges(appliance.log().state(), all);
  decide(appliance, mek, Count::Together, policy::kOwnFormat, all);
  return std::ranges::all_of(candidates, [](const ReleaseItem& c) { return c.allowed(); });
}

const std::vector<Grant>& Transaction::wrap() {
  if (allowed_.empty()) return grants_;
  if (format_ != policy::kOwnFormat) throw Error(ErrorKind::Internal, "a wrap in another format than ours");
  grants_ = wrap_all(appliance_, mek_, allowed_, pending_);
  if (mode_ == Mode::AllOrNone)
    for (const ReleaseItem& c : candidates_)
      if (!c.fault.empty()) throw Error(ErrorKind::Token, c.fault);
  std::map<std::string, std::vector<std::pair<const ReleaseItem*, const Grant*>>> fresh;  // by transaction
  for (std::size_t i = 0; i < allowed_.size(); ++i)
    if (!allowed_[i]->is_wrapped()) fresh[allowed_[i]->txn.id].emplace_back(allowed_[i], &grants_[i]);
  for (const auto& [txn, wraps] : fresh) count_wrapped(appliance_, mek_, pending_, wraps);
  reserve_entries();
  return grants_;
}

// Nobody else writes to the log while we hold its lock.
void Transaction::reserve_entries() {
  for (std::size_t i = 0; i < grants_.size(); ++i) grants_[i].entry = appliance_.log().state().size + i;
}

void Transaction::prepare_exposed(const Json& exposed, std::vector<audit::Txn>& txns,
                                  std::vector<Json>& data) {
  grants_ = grants_for(appliance_, allowed_);
  for (Grant& grant : grants_) grant.exposed = exposed;
  for (std::size_t i = 0; i < allowed_.size(); ++i) {
    txns.push_back(allowed_[i]->txn);
    data.push_back(wrapped_data(mek_, *allowed_[i], grants_[i]));
  }
}

void Transaction::add_unknown(const std::string& why, std::vector<audit::Outcome>& outcomes) const {
  for (const ReleaseItem* c : allowed_) outcomes.push_back({c->txn, "unknown", {{"error", why}}});
}

void Transaction::commit(std::vector<Json> acts, std::vector<audit::Outcome> more) {
  if (grants_.empty() && more.empty()) return;
  std::vector<audit::Outcome> outcomes;
  for (std::size_t i = 0; i < grants_.size(); ++i)
    outcomes.push_back(granted_outcome(appliance_, mek_, *allowed_[i], grants_[i], std::move(acts.at(i))));
  std::ranges::move(more, std::back_inserter(outcomes));
  const auto entries = appliance_.log().results(std::move(outcomes));
  for (std::size_t i = 0; i < grants_.size(); ++i)
    if (entries[i] != grants_[i].entry)
      throw Error(ErrorKind::Internal, "the results have other log entries than those that were reserved");
  if (format_ == policy::kOwnFormat) pending_.drop(wraps_of(grants_));
}

}  // namespace qpcseal::release
