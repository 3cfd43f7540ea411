// SPDX-License-Identifier: Apache-2.0
#include "appliance/verdict/authority.h"

#include <algorithm>

#include "appliance/approval/quorum.h"
#include "appliance/release/approval.h"
#include "appliance/site/pinned_files.h"

namespace qpcseal::verdict {

namespace {

using audit::Entry;
using audit::Phase;
using encoding::Json;

constexpr std::size_t kMaxFiles = 1024;

tlog::Hash hash_of(const std::string& hex) {
  const Bytes bytes = from_hex(hex);
  tlog::Hash out{};
  if (bytes.size() != out.size()) throw Error(ErrorKind::Malformed, "bundle: a root of another size");
  std::ranges::copy(bytes, out.begin());
  return out;
}

const Json& list_in(const Json& json, const char* name) {
  const Json& list = encoding::member(json, name);
  if (!list.is_array() || list.size() > kMaxFiles)
    throw Error(ErrorKind::Malformed, std::string("bundle: '") + name + "' is not a list");
  return list;
}

std::string text_in(const Json& item) {
  return std::string(text_view(from_base64(encoding::text_member(item, "text"))));
}

bool is_of_genesis(const Json& item) { return encoding::member(item, "entry").is_null(); }

}  // namespace

// In the log's order: each change is judged by what was in force before it.
Authority::Authority(const Json& json, const SignatureSubject& subject) : subject_(subject) {
  const Json &policies = list_in(json, "policies"), &officers = list_in(json, "officers");
  for (const Json& item : policies)
    encoding::expect_keys(item, {"entry", "text", "signatures"}, "bundle: policies");
  for (const Json& item : officers)
    encoding::expect_keys(item, {"entry", "text", "approval"}, "bundle: officers");
  if (policies.empty()) throw damaged("who signed the policy is not there");
  if (officers.empty() == has_officers(subject.genesis)) throw damaged("its officers file is not there");
  if (!officers.empty()) add_first_officers(officers.front());
  add_first_policy(policies.front());
  std::size_t next_policy = 1, next_officers = 1;
  while (next_policy < policies.size() || next_officers < officers.size()) {
    std::optional<Entry> policy, list;
    if (next_policy < policies.size()) policy = proven_entry(policies[next_policy]);
    if (next_officers < officers.size()) list = proven_entry(officers[next_officers]);
    if (policy && (!list || policy->seq < list->seq)) {
      add_policy(policies[next_policy++], *policy);
    } else {
      add_officers(officers[next_officers++], *list);
    }
  }
  if (policies_.back().text != subject.policy_text) throw damaged("who signed the policy is not there");
}

const approval::Officers& Authority::officers_at(std::uint64_t seq) const {
  return verdict::officers_at(officers_, seq);
}

std::vector<std::string> Authority::recorded_signers(const Entry& entry, std::string_view sig_namespace,
                                                     const std::string& text,
                                                     const std::vector<std::string>& signatures,
                                                     const char* what) const {
  const Json& named = encoding::member(entry.data, "approvers");
  if (named.empty()) return nobody(signatures, what);
  const auto approvers = tally_all(officers_at(entry.seq), sig_namespace, text, signatures, entry.time);
  if (approval::as_json(approvers) != named) throw damaged("others signed than the log says");
  return signer_names(approvers);
}

const Authority::PolicySince& Authority::file_at(std::uint64_t seq) const {
  return *std::ranges::find_if(policies_.rbegin(), policies_.rend(),
                               [&](const PolicySince& one) { return one.since < seq || one.since == 0; });
}

std::string Authority::appliance() const {
  return encoding::text_member(subject_.genesis.data, "appliance_id");
}

Entry Authority::proven_entry(const Json& item) const {
  if (is_of_genesis(item)) throw damaged("a second file of the genesis");
  Entry entry = audit::check_proven(encoding::member(item, "entry"), subject_.checkpoint);
  if (entry.seq >= subject_.verdict.seq) throw damaged("a file that came in behind the verdict");
  return entry;
}

void Authority::add_first_policy(const Json& item) {
  if (!is_of_genesis(item)) throw damaged("the first policy is not there");
  PolicySince first{0, text_in(item), {}, {}};
  if (sha256_hex(first.text) !=
      encoding::text_member(encoding::member(subject_.genesis.data, "policy"), "digest"))
    throw damaged("the first policy is not the one that the log names");
  first.policy = policy::parse_policy(first.text);
  const std::vector<std::string> signatures = signatures_in(item);
  if (is_demo(subject_.genesis)) {
    first.signers = nobody(signatures, "the policy");
  } else {
    const approval::Officers& officers = officers_at(0);
    const UnixTime then = subject_.genesis.time;
    first.signers = signer_names(tally_all(officers, site::kPolicyNamespace, first.text, signatures, then));
    site::check_policy(first.policy, {appliance(), &officers, false, true}, then);
    static_cast<void>(site::check_first_signatures(first.policy, first.text, officers, signatures, then));
  }
  policies_.push_back(std::move(first));
}

// As many as `policy install` asks for.
void Authority::check_number(const policy::Policy& next, std::size_t signers) const {
  const policy::Policy& before = policies_.back().policy;
  const int named = before.approvals_for("policy-change").value_or(0);
  const int needed = is_demo(subject_.genesis)
                         ? named
                         : std::max({named, before.greatest_threshold(), next.greatest_threshold()});
  if (signers < static_cast<std::size_t>(needed))
    throw damaged("the policy with serial " + std::to_string(next.serial.value) + " is signed by " +
                  std::to_string(signers) + " officers, and needs " + std::to_string(needed));
}

void Authority::add_policy(const Json& item, const Entry& entry) {
  PolicySince next{entry.seq, text_in(item), {}, {}};
  const bool fits = entry.kind == "policy" && entry.phase == Phase::Intent &&
                    entry.seq > policies_.back().since &&
                    encoding::text_member(entry.data, "digest") == sha256_hex(next.text);
  if (!fits) throw damaged("the entry is not of this policy");
  next.policy = policy::parse_policy(next.text);
  if (next.policy.serial.value <= policies_.back().policy.serial.value)
    throw damaged("a policy whose serial does not rise");
  next.signers = recorded_signers(entry, site::kPolicyNamespace, next.text, signatures_in(item), "a policy");
  check_number(next.policy, next.signers.size());
  const approval::Officers* officers = officers_.empty() ? nullptr : &officers_at(entry.seq);
  site::check_policy(next.policy, {appliance(), officers, is_demo(subject_.genesis), false}, entry.time);
  policies_.push_back(std::move(next));
}

void Authority::add_first_officers(const Json& item) {
  if (!is_of_genesis(item) || !encoding::member(item, "approval").is_null())
    throw damaged("an officers file out of place");
  const std::string text = text_in(item);
  if (sha256_hex(text) != encoding::text_member(subject_.genesis.data, "officers"))
    throw damaged("an officers file is not the one that the log names");
  officers_.push_back({0, text, approval::parse_officers(text)});
}

void Authority::add_officers(const Json& item, const Entry& entry) {
  const std::string text = text_in(item);
  const bool fits = entry.kind == "officers" && entry.outcome == "ok" && entry.seq > officers_.back().since;
  if (!fits) throw damaged("an officers file out of place");
  if (sha256_hex(text) != encoding::text_member(entry.data, "digest"))
    throw damaged("an officers file is not the one that the log names");
  check_change(item, entry);
  officers_.push_back({entry.seq, text, approval::parse_officers(text)});
}

// The officers before agreed to this file.
void Authority::check_change(const Json& item, const Entry& result) const {
  const Json& part = encoding::member(item, "approval");
  encoding::expect_keys(part, {"entry", "signatures", "request", "reports", "head"}, "bundle: officers");
  const Entry intent = audit::check_proven(encoding::member(part, "entry"), subject_.checkpoint);
  if (intent.kind != "officers" || intent.phase != Phase::Intent || result.intent != intent.seq ||
      result.txn != intent.txn)
    throw damaged("the approval of an officers file is another's");
  const approval::ApprovalRequest request =
      approval::parse_approval_request(encoding::text_member(part, "request"));
  const bool fits =
      request.operation == "officers-change" && encoding::text_member(part, "reports").empty() &&
      request.parameters == Json{{"officers_sha256", encoding::text_member(result.data, "digest")}};
  if (!fits) throw damaged("what the officers agreed to is another officers file");
  static_cast<void>(judge_again(part, intent, request));
}

std::vector<std::string> Authority::judge_again(const Json& part, const Entry& entry,
                                                const approval::ApprovalRequest& request) const {
  const Json& record = release::approval_in(entry);
  const std::string& text = encoding::text_member(part, "request");
  const approval::Officers& officers = officers_at(entry.seq);
  const PolicySince& policy = file_at(entry.seq);
  audit::State state;
  state.genesis = subject_.genesis.data;
  state.policy_digest = sha256_hex(policy.text);
  state.officers_digest = to_hex(officers.digest);
  const tlog::Proof head = audit::parse_proof(encoding::member(part, "head"));
  const auto was_head = [&](std::uint64_t size, const std::string& root) {
    return size <= entry.seq && tlog::verify_consistency(size, subject_.checkpoint.size, head, hash_of(root),
                                                         subject_.checkpoint.root);
  };
  const auto now = static_cast<UnixTime>(encoding::uint_member(record, "time"));
  const auto signatures = signatures_in(part);
  const auto approvers =
      tally_all(officers, approval::approval_namespace(request.operation), text, signatures, now);
  const approval::ApprovalResult again =
      approval::judge_approval({state, was_head, policy.policy, officers, now}, request.operation,
                               request.parameters, {text}, signatures);
  if (again.record != record)
    throw damaged("the approval of '" + request.operation + "' comes out otherwise than the log says");
  return signer_names(approvers);
}

}  // namespace qpcseal::verdict
