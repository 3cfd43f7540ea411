// SPDX-License-Identifier: Apache-2.0
#include "appliance/verdict/bundle.h"

#include <algorithm>

#include "appliance/release/verdict_record.h"
#include "appliance/site/archive.h"
#include "appliance/verdict/signature_parts.h"
#include "base/file.h"

namespace qpcseal::verdict {

namespace {

using audit::Entry;
using audit::Phase;
using encoding::Json;

constexpr const char* kType = "qpcseal-bundle";

std::string policy_digest(const Entry& verdict) {
  return encoding::text_member(encoding::member(verdict.data, "policy"), "digest");
}
const Json& judged_of(const Entry& verdict) { return encoding::member(verdict.data, "judged"); }

// The challenge that a release answered; nothing where the log has none with that nonce.
std::optional<std::uint64_t> find_challenge(const audit::LogCopy& log, const Json& intent) {
  const auto found = log.state.challenges.find(from_hex(encoding::text_member(intent, "nonce")));
  if (found == log.state.challenges.end()) return std::nullopt;
  std::optional<std::uint64_t> out;
  log.each(0, log.checkpoint.size, [&](std::uint64_t seq, std::string_view line) {
    const bool its = audit::scan_entry(line).kind == "challenge" &&
                     audit::parse_entry(line).data.at("nonce") == intent.at("nonce");
    if (its) out = seq;
    return !its;
  });
  return out;
}

Json files_of(const site::Home& home, const Entry& verdict, const std::string& report) {
  return {
      {"report", to_base64(read_file(home.reports() / (report + ".report"), attest::kMaxReport))},
      {"policy", to_base64(view(site::archive_get(home, policy_digest(verdict), ".signed")))},
      {"trust", to_base64(view(site::kept_trust(home, encoding::text_member(judged_of(verdict), "trust"))))}};
}

struct Parts {
  audit::Receipt receipt;
  Entry genesis;
  std::optional<Entry> intent, challenge;
  release::Report report;
  std::string policy, trust;  // texts
};

// Optional in the bundle, but what there is must be in the log.
std::optional<Entry> part_of(const Json& entries, const char* name, const tlog::Checkpoint& checkpoint) {
  const Json& part = encoding::member(entries, name);
  if (part.is_null()) return std::nullopt;
  return audit::check_proven(part, checkpoint);
}

std::string text_part(const Json& files, const char* name) {
  return std::string(text_view(from_base64(encoding::text_member(files, name))));
}

Parts parts_of(const Json& json, const tlog::VerifierKey& key) {
  encoding::expect_keys(json, {"type", "v", "receipt", "entries", "files", "signed"}, "bundle");
  const Json &entries = encoding::member(json, "entries"), &files = encoding::member(json, "files");
  encoding::expect_keys(entries, {"genesis", "intent", "challenge"}, "bundle");
  encoding::expect_keys(files, {"report", "policy", "trust"}, "bundle");
  // Member by member: where an initializer throws, g++ 12 destroys an aggregate's inner aggregates twice.
  Parts out;
  out.receipt = audit::check_receipt(encoding::canonical(encoding::member(json, "receipt")), key);
  if (!release::is_verdict(out.receipt.entry)) throw damaged("its entry is no verdict on a report");
  const tlog::Checkpoint& checkpoint = out.receipt.checkpoint;
  out.genesis = audit::check_proven(encoding::member(entries, "genesis"), checkpoint);
  out.intent = part_of(entries, "intent", checkpoint);
  out.challenge = part_of(entries, "challenge", checkpoint);
  out.report.name = "report";
  out.report.bytes = from_base64(encoding::text_member(files, "report"));
  out.policy = text_part(files, "policy");
  out.trust = text_part(files, "trust");
  out.report.digest = sha256(out.report.bytes);
  return out;
}

void require_same(const std::string& found, const std::string& named, const char* what) {
  if (found != named)
    throw damaged(std::string(what) + " is not the one that the log names: found " + found + ", logged " +
                  named);
}

// The release that the verdict concludes, and the challenge that it answered. Its intent's data.
const Json& check_release(const Parts& parts) {
  const Entry& verdict = parts.receipt.entry;
  if (!parts.intent || parts.intent->seq != verdict.intent || parts.intent->txn != verdict.txn)
    throw damaged("its intent is another's, or is not there");
  const Json& intent = parts.intent->data;
  const bool fits = !parts.challenge ||
                    (parts.challenge->kind == "challenge" &&
                     encoding::member(parts.challenge->data, "nonce") == encoding::member(intent, "nonce"));
  if (!fits) throw damaged("its challenge is another's");
  if (parts.challenge.has_value() != encoding::bool_member(judged_of(verdict), "known"))
    throw damaged("the log knew the challenge, and it is not there, or the other way round");
  return intent;
}

// The parts belong together, and are what the signed entries name.
void check_parts(const Parts& parts) {
  const Entry& verdict = parts.receipt.entry;
  if (parts.genesis.seq != 0) throw damaged("its first entry is not the log's");
  require_same(sha256_hex(parts.policy), policy_digest(verdict), "the policy");
  if (release::is_unverified(verdict) && (parts.intent || parts.challenge))
    throw damaged("an intent of a report that did not verify");
  const Json& named = release::is_unverified(verdict) ? verdict.data : check_release(parts);
  require_same(to_hex(parts.report.digest), encoding::text_member(named, "report_sha256"), "the report");
}

// All that was computed now stands in the entry as it was computed then. The hint is for programs whose
// rules have changed since.
void require_recorded(const Entry& verdict, const Json& again) {
  for (const auto& [name, value] : again.items())
    if (!verdict.data.contains(name) || verdict.data.at(name) != value)
      throw Error(ErrorKind::LogDamaged,
                  "bundle: '" + name + "' of the verdict comes out otherwise than the log says",
                  "the verdict was written by " + verdict.software + ", this is qpcseal " +
                      std::string(software_version()));
}

void recompute_unverified(const Parts& parts, const release::Verified& verified, Recomputed& out) {
  const Entry& verdict = parts.receipt.entry;
  if (verified.evidence.claims || !release::is_unverified(verdict))
    throw damaged("whether the report verifies comes out otherwise than the log says");
  out.findings = verified.evidence.findings;
  require_recorded(verdict, release::unverified_facts(verified));
}

// A verdict "denied" without findings is of a report that would do by itself: another one of its transaction
// was denied, and so were all.
void recompute_release(const Parts& parts, const policy::Policy& policy, const release::Verified& verified,
                       Recomputed& out) {
  const Entry& verdict = parts.receipt.entry;
  const release::RecordedInputs recorded = release::parse_recorded_inputs(
      judged_of(verdict), parts.genesis, parts.challenge ? &*parts.challenge : nullptr, parts.intent->data);
  const release::VerdictInputs question{policy,
                                        recorded.state,
                                        recorded.now,
                                        recorded.suites,
                                        from_hex(encoding::text_member(parts.intent->data, "mek_id")),
                                        recorded.wanted,
                                        recorded.format};
  const auto challenge =
      release::challenge_facts(recorded.state, verified.evidence.claims.value().nonce, parts.report);
  const release::Verdict again = release::judge(question, challenge, verified);
  out.allowed = again.decision.allowed();
  out.findings = again.decision.findings();
  out.device_class = again.decision.device_class();
  out.time = recorded.now;
  if (verdict.outcome != "ok") {
    require_recorded(verdict, release::denied_facts(verified, again));
  } else if (!out.allowed) {
    throw Error(ErrorKind::LogDamaged, "bundle: the log says released, and the verdict comes out denied", "",
                out.findings);
  } else {
    require_recorded(verdict, release::granted_facts(verified, again));
  }
}

}  // namespace

std::string make_bundle(const site::Home& home, const audit::LogCopy& log, std::uint64_t seq) {
  const std::string receipt = audit::make_receipt(log, seq);
  const Entry verdict = audit::parse_entry(log.line(seq));
  if (!release::is_verdict(verdict))
    throw Error(ErrorKind::Usage, "entry " + std::to_string(seq) + " is no verdict on a report",
                "results of releases, and denials, have bundles; without --bundle any entry has a receipt");
  Json entries{{"genesis", audit::proven(log, 0)}, {"intent", nullptr}, {"challenge", nullptr}};
  Json named = verdict.data;
  if (!release::is_unverified(verdict)) {
    named = audit::parse_entry(log.line(verdict.intent.value())).data;
    entries["intent"] = audit::proven(log, *verdict.intent);
    const auto challenge = find_challenge(log, named);  // of a false time it was forgotten (clock-correct)
    if (challenge && encoding::bool_member(judged_of(verdict), "known"))
      entries["challenge"] = audit::proven(log, *challenge);
  }
  const std::string text =
      encoding::canonical({{"type", kType},
                           {"v", 1U},
                           {"receipt", encoding::parse_json(receipt, "receipt")},
                           {"entries", std::move(entries)},
                           {"files", files_of(home, verdict, encoding::text_member(named, "report_sha256"))},
                           {"signed", gather_signatures(home, log, verdict)}}) +
      "\n";
  static_cast<void>(check_bundle(text, log.key));
  return text;
}

bool is_bundle(std::string_view text) {
  return text.find(std::string("\"type\":\"") + kType + "\"") != std::string_view::npos;
}

Recomputed check_bundle(std::string_view text, const tlog::VerifierKey& key) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  const Json json = encoding::parse_canonical(text, "bundle");
  if (encoding::text_member(json, "type") != kType || encoding::uint_member(json, "v") != 1)
    throw Error(ErrorKind::Malformed, "not a bundle of this program");
  const Parts parts = parts_of(json, key);
  check_parts(parts);
  const Entry& verdict = parts.receipt.entry;
  const Json& judged = judged_of(verdict);
  trust::Trust trust = site::parse_trust(parts.trust);
  require_same(to_hex(trust.digest), encoding::text_member(judged, "trust"), "the trust material");
  trust.crl_floors = release::recorded_crl_floors(judged);
  const policy::Policy policy = policy::parse_policy(parts.policy);
  Recomputed out{parts.receipt, false, {}, {}, policy.serial.value, release::recorded_time(judged), {}};
  out.signatures =
      check_signatures(encoding::member(json, "signed"),
                       {parts.receipt.checkpoint, parts.genesis, verdict,
                        parts.intent ? &*parts.intent : nullptr, policy, parts.policy, parts.trust});
  const release::Verified verified = release::verify_attestation(parts.report, policy, trust, out.time);
  if (verified.evidence.claims && !release::is_unverified(verdict)) {
    recompute_release(parts, policy, verified, out);
  } else {
    recompute_unverified(parts, verified, out);
  }
  return out;
}

}  // namespace qpcseal::verdict
