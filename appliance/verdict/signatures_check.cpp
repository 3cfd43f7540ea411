// The officers' consent in a bundle, verified again; and what that shares with gathering it.
#include <algorithm>

#include "appliance/approval/quorum.h"
#include "appliance/release/approval.h"
#include "appliance/site/pinned_files.h"
#include "appliance/verdict/signature_parts.h"
#include "appliance/verdict/signatures.h"

namespace qpcseal::release {

namespace {

using audit::Entry;
using audit::Json;
using audit::Phase;

constexpr std::size_t kMaxSignatures = 256, kMaxOfficersFiles = 1024;

audit::Hash hash_of(const std::string& hex) {
  const Bytes bytes = from_hex(hex);
  audit::Hash out{};
  if (bytes.size() != out.size()) throw Error(ErrorKind::Malformed, "bundle: a root of another size");
  std::ranges::copy(bytes, out.begin());
  return out;
}

std::vector<std::string> texts_of(const Json& list, std::size_t most) {
  if (!list.is_array() || list.size() > most) throw Error(ErrorKind::Malformed, "bundle: not a list");
  std::vector<std::string> out;
  for (const Json& item : list) {
    if (!item.is_string()) throw Error(ErrorKind::Malformed, "bundle: not a text");
    out.push_back(item.get<std::string>());
  }
  return out;
}

std::vector<std::string> names_of(const std::vector<policy::Approver>& approvers) {
  std::vector<std::string> out;
  for (const auto& approver : approvers) out.push_back(approver.name);
  return out;
}

class Checker {
 public:
  Checker(const Json& json, const ConsentSubject& subject) : json_(json), subject_(subject) {
    audit::expect_keys(json, {"policy", "trust", "release", "officers"}, "bundle: signed");
    read_officers();
  }

  [[nodiscard]] std::vector<std::string> policy() const {
    const Json& part = audit::member(json_, "policy");
    audit::expect_keys(part, {"entry", "signatures"}, "bundle: signed");
    const auto signatures = texts_of(audit::member(part, "signatures"), kMaxSignatures);
    const Json& named = audit::member(subject_.genesis.data, "policy");
    const auto entry = brought_in(part, "policy", subject_.policy_text, audit::text_member(named, "digest"));
    if (entry) return recorded(*entry, kPolicyNamespace, subject_.policy_text, signatures);
    if (is_demo(subject_.genesis)) return none(signatures, "the policy");
    const policy::Officers& officers = officers_at(files_, 0);
    const policy::Policy first = policy::parse_policy(subject_.policy_text);
    const UnixTime then = subject_.genesis.time;
    std::vector<std::string> names =
        counted(officers, kPolicyNamespace, subject_.policy_text, signatures, then);
    check_policy(first, {name_of_appliance(), &officers, false, true}, then);
    static_cast<void>(check_first_signatures(first, subject_.policy_text, officers, signatures, then));
    return names;
  }

  [[nodiscard]] std::vector<std::string> trust() const {
    const Json& part = audit::member(json_, "trust");
    audit::expect_keys(part, {"entry", "signatures"}, "bundle: signed");
    const auto signatures = texts_of(audit::member(part, "signatures"), kMaxSignatures);
    // A folder's digest is not that of its text: what the verdict names is what parse_trust() computed.
    const std::string& digest = audit::text_member(audit::member(subject_.verdict.data, "judged"), "trust");
    if (audit::member(part, "entry").is_null() &&
        digest == audit::text_member(subject_.genesis.data, "trust"))
      return none(signatures, "the trust material");
    const auto entry = brought_in(part, "trust", subject_.trust_text, "");
    return recorded(*entry, kTrustNamespace, subject_.trust_text, signatures);
  }

  [[nodiscard]] std::vector<std::string> release() const {
    const Json& part = audit::member(json_, "release");
    const int needed = subject_.policy.approvals_for("release").value_or(0);
    const bool asked = subject_.intent != nullptr && needed > 0;
    if (asked == part.is_null()) throw damaged("whether officers agreed is not as the policy asks");
    if (!asked) return {};
    audit::expect_keys(part, {"entry", "signatures", "request", "reports", "head"}, "bundle: signed");
    const Entry entry = audit::check_proven(audit::member(part, "entry"), subject_.checkpoint);
    if (!carries_approval(entry, *subject_.intent) || entry.seq >= subject_.verdict.seq)
      throw damaged("its approval is another release's");
    return judge_again(part, entry);
  }

 private:
  [[nodiscard]] const std::string& name_of_appliance() const {
    return audit::text_member(subject_.genesis.data, "appliance_id");
  }

  void read_officers() {
    const Json& list = audit::member(json_, "officers");
    if (!list.is_array() || list.size() > kMaxOfficersFiles)
      throw Error(ErrorKind::Malformed, "bundle: 'officers' is not a list");
    for (const Json& item : list) add_officers(item);
    if (files_.empty() == has_officers(subject_.genesis)) throw damaged("its officers file is not there");
  }

  void add_officers(const Json& item) {
    audit::expect_keys(item, {"entry", "text"}, "bundle: officers");
    const std::string text(text_of(from_base64(audit::text_member(item, "text"))));
    const Json& proven = audit::member(item, "entry");
    std::uint64_t since = 0;
    std::string named;
    if (proven.is_null()) {
      if (!files_.empty() || !has_officers(subject_.genesis)) throw damaged("an officers file out of place");
      named = audit::text_member(subject_.genesis.data, "officers");
    } else {
      const Entry entry = audit::check_proven(proven, subject_.checkpoint);
      const bool fits = entry.kind == "officers" && entry.outcome == "ok" && !files_.empty() &&
                        entry.seq > files_.back().since && entry.seq < subject_.verdict.seq;
      if (!fits) throw damaged("an officers file out of place");
      since = entry.seq;
      named = audit::text_member(entry.data, "digest");
    }
    if (sha256_hex(text) != named) throw damaged("an officers file is not the one that the log names");
    files_.push_back({since, text, policy::parse_officers(text)});
  }

  // The intent that brought a file in; nothing where the genesis did.
  [[nodiscard]] std::optional<Entry> brought_in(const Json& part, const char* kind, const std::string& text,
                                                const std::string& first) const {
    const Json& proven = audit::member(part, "entry");
    if (proven.is_null()) {
      if (sha256_hex(text) != first) throw damaged(std::string("who signed the ") + kind + " is not there");
      return std::nullopt;
    }
    Entry entry = audit::check_proven(proven, subject_.checkpoint);
    const bool fits = entry.kind == kind && entry.phase == Phase::Intent &&
                      entry.seq < subject_.verdict.seq &&
                      audit::text_member(entry.data, "digest") == sha256_hex(text);
    if (!fits) throw damaged(std::string("the entry is not of this ") + kind);
    return entry;
  }

  static std::vector<std::string> none(const std::vector<std::string>& signatures, const char* what) {
    if (!signatures.empty()) throw damaged(std::string("signatures of ") + what + ", which nobody signed");
    return {};
  }

  // Each signature counts, and there are as many as the log says, of these officers.
  static std::vector<policy::Approver> tally(const policy::Officers& officers, std::string_view name_space,
                                             const std::string& text,
                                             const std::vector<std::string>& signatures, UnixTime now) {
    policy::Tally out = policy::tally_signatures(officers, name_space, view(text), signatures, now);
    if (!out.findings.empty())
      throw Error(ErrorKind::LogDamaged, "bundle: an officer's signature does not hold", "", out.findings);
    return std::move(out.approvers);
  }
  static std::vector<std::string> counted(const policy::Officers& officers, std::string_view name_space,
                                          const std::string& text, const std::vector<std::string>& signatures,
                                          UnixTime now) {
    return names_of(tally(officers, name_space, text, signatures, now));
  }

  [[nodiscard]] std::vector<std::string> recorded(const Entry& entry, std::string_view name_space,
                                                  const std::string& text,
                                                  const std::vector<std::string>& signatures) const {
    const Json& named = audit::member(entry.data, "approvers");
    if (named.empty()) return none(signatures, "a file");
    const auto approvers = tally(officers_at(files_, entry.seq), name_space, text, signatures, entry.time);
    if (json_of(approvers) != named) throw damaged("others signed than the log says");
    return names_of(approvers);
  }

  // The same question to the same judge, with what the log said then.
  [[nodiscard]] std::vector<std::string> judge_again(const Json& part, const Entry& entry) const {
    const Json& record = approval_in(entry);
    const std::string& text = audit::text_member(part, "request");
    const ApprovalRequest request = parse_approval_request(text);
    check_subject(request, audit::text_member(part, "reports"));
    const policy::Officers& officers = officers_at(files_, entry.seq);
    audit::State state;
    state.genesis = subject_.genesis.data;
    state.policy_digest = sha256_hex(subject_.policy_text);
    state.officers_digest = to_hex(officers.digest);
    const audit::Proof head = audit::proof_of(audit::member(part, "head"));
    const auto was_head = [&](std::uint64_t size, const std::string& root) {
      return size <= entry.seq && audit::verify_consistency(size, subject_.checkpoint.size, head,
                                                            hash_of(root), subject_.checkpoint.root);
    };
    const auto now = static_cast<UnixTime>(audit::uint_member(record, "time"));
    const auto signatures = texts_of(audit::member(part, "signatures"), kMaxSignatures);
    const auto approvers = tally(officers, approval_namespace(request.operation), text, signatures, now);
    const Judgement again = judge_approval({state, was_head, subject_.policy, officers, now}, "release",
                                           request.parameters, {text}, signatures);
    if (again.record != record) throw damaged("the release's approval comes out otherwise than the log says");
    return names_of(approvers);
  }

  void check_subject(const ApprovalRequest& request, const std::string& list) const {
    const Json &asked = request.parameters, &done = subject_.intent->data;
    const bool fits = request.operation == "release" && audit::member(asked, "mek") == done.at("mek") &&
                      audit::member(asked, "mek_id") == done.at("mek_id") &&
                      list.empty() == list_digest(asked).empty() &&
                      covers_report(asked, list, audit::text_member(done, "report_sha256"));
    if (!fits) throw damaged("what the officers agreed to is another release");
  }

  const Json& json_;
  const ConsentSubject& subject_;
  std::vector<OfficersSince> files_;
};

}  // namespace

Error damaged(const std::string& what) { return {ErrorKind::LogDamaged, "bundle: " + what}; }

bool is_demo(const Entry& genesis) { return audit::bool_member(genesis.data, "insecure_demo"); }
bool has_officers(const Entry& genesis) { return !audit::member(genesis.data, "officers").is_null(); }

const policy::Officers& officers_at(const std::vector<OfficersSince>& files, std::uint64_t seq) {
  const OfficersSince* out = nullptr;
  for (const OfficersSince& file : files)
    if (file.since < seq || file.since == 0) out = &file;
  if (out == nullptr) throw damaged("somebody signed, and there are no officers");
  return out->officers;
}

Consent check_consent(const Json& json, const ConsentSubject& subject) {
  try {
    const Checker checker(json, subject);
    Consent out;
    out.policy = checker.policy();
    out.trust = checker.trust();
    out.release = checker.release();
    return out;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::ApprovalsMissing && error.kind() != ErrorKind::Denied) throw;
    throw Error(ErrorKind::LogDamaged, std::string("bundle: ") + error.what(), "", error.findings());
  }
}

}  // namespace qpcseal::release
