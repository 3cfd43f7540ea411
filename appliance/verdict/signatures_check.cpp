// SPDX-License-Identifier: Apache-2.0
// The officers' consent in a bundle, verified again; and what that shares with gathering it.
#include <algorithm>

#include "appliance/release/approval.h"
#include "appliance/site/pinned_files.h"
#include "appliance/verdict/authority.h"
#include "appliance/verdict/signature_parts.h"
#include "appliance/verdict/signatures.h"

namespace qpcseal::verdict {

namespace {

using audit::Entry;
using audit::Phase;
using encoding::Json;

constexpr std::size_t kMaxSignatures = 256;

std::vector<std::string> check_trust(const Json& part, const SignatureSubject& subject,
                                     const Authority& authority) {
  encoding::expect_keys(part, {"entry", "signatures"}, "bundle: signed");
  const std::vector<std::string> signatures = signatures_in(part);
  // A folder's digest is not that of its text: what the verdict names is what parse_trust() computed.
  const std::string& digest =
      encoding::text_member(encoding::member(subject.verdict.data, "judged"), "trust");
  const Json& proven = encoding::member(part, "entry");
  if (proven.is_null() && digest == encoding::text_member(subject.genesis.data, "trust"))
    return nobody(signatures, "the trust material");
  if (proven.is_null()) throw damaged("who signed the trust is not there");
  const Entry entry = audit::check_proven(proven, subject.checkpoint);
  const bool fits = entry.kind == "trust" && entry.phase == Phase::Intent &&
                    entry.seq < subject.verdict.seq &&
                    encoding::text_member(entry.data, "digest") == sha256_hex(subject.trust_text);
  if (!fits) throw damaged("the entry is not of this trust");
  const std::size_t signed_by = encoding::member(entry.data, "approvers").size();
  const int least = is_demo(subject.genesis) ? 0 : 1;  // somebody signs a file
  const int needed =
      std::max(least, authority.policy_at(entry.seq).approvals_for("trust-import").value_or(0));
  if (signed_by < static_cast<std::size_t>(needed))
    throw damaged("the trust material is signed by " + std::to_string(signed_by) + " officers, and needs " +
                  std::to_string(needed));
  return authority.recorded_signers(entry, site::kTrustNamespace, subject.trust_text, signatures, "a file");
}

void check_subject(const approval::ApprovalRequest& request, const std::string& list, const Json& done) {
  const Json& asked = request.parameters;
  const bool fits = request.operation == "release" && encoding::member(asked, "mek") == done.at("mek") &&
                    encoding::member(asked, "mek_id") == done.at("mek_id") &&
                    list.empty() == release::list_digest(asked).empty() &&
                    release::covers_report(asked, list, encoding::text_member(done, "report_sha256"));
  if (!fits) throw damaged("what the officers agreed to is another release");
}

std::vector<std::string> check_release(const Json& part, const SignatureSubject& subject,
                                       const Authority& authority) {
  const int needed = subject.policy.approvals_for("release").value_or(0);
  const bool asked = subject.intent != nullptr && needed > 0;
  if (asked == part.is_null()) throw damaged("whether officers agreed is not as the policy asks");
  if (!asked) return {};
  encoding::expect_keys(part, {"entry", "signatures", "request", "reports", "head"}, "bundle: signed");
  const Entry entry = audit::check_proven(encoding::member(part, "entry"), subject.checkpoint);
  if (!release::carries_approval(entry, *subject.intent) || entry.seq >= subject.verdict.seq)
    throw damaged("its approval is another release's");
  const approval::ApprovalRequest request =
      approval::parse_approval_request(encoding::text_member(part, "request"));
  check_subject(request, encoding::text_member(part, "reports"), subject.intent->data);
  return authority.judge_again(part, entry, request);
}

}  // namespace

Error damaged(const std::string& what) { return {ErrorKind::LogDamaged, "bundle: " + what}; }

bool is_demo(const Entry& genesis) { return encoding::bool_member(genesis.data, "insecure_demo"); }
bool has_officers(const Entry& genesis) { return !encoding::member(genesis.data, "officers").is_null(); }

const approval::Officers& officers_at(const std::vector<OfficersSince>& files, std::uint64_t seq) {
  const OfficersSince* out = nullptr;
  for (const OfficersSince& file : files)
    if (file.since < seq || file.since == 0) out = &file;
  if (out == nullptr) throw damaged("somebody signed, and there are no officers");
  return out->officers;
}

std::vector<std::string> signatures_in(const Json& part) {
  const Json& list = encoding::member(part, "signatures");
  if (!list.is_array() || list.size() > kMaxSignatures)
    throw Error(ErrorKind::Malformed, "bundle: 'signatures' is not a list");
  std::vector<std::string> out;
  for (const Json& item : list) {
    if (!item.is_string()) throw Error(ErrorKind::Malformed, "bundle: not a text");
    out.push_back(item.get<std::string>());
  }
  return out;
}

std::vector<approval::Approver> tally_all(const approval::Officers& officers, std::string_view sig_namespace,
                                          const std::string& text, const std::vector<std::string>& signatures,
                                          UnixTime now) {
  approval::Tally out = approval::tally_signatures(officers, sig_namespace, view(text), signatures, now);
  if (!out.findings.empty())
    throw Error(ErrorKind::LogDamaged, "bundle: an officer's signature does not hold", "", out.findings);
  return std::move(out.approvers);
}

std::vector<std::string> signer_names(const std::vector<approval::Approver>& approvers) {
  std::vector<std::string> out;
  for (const auto& approver : approvers) out.push_back(approver.name);
  return out;
}

std::vector<std::string> nobody(const std::vector<std::string>& signatures, const char* what) {
  if (!signatures.empty()) throw damaged(std::string("signatures of ") + what + ", which nobody signed");
  return {};
}

Signatures check_signatures(const Json& json, const SignatureSubject& subject) {
  try {
    encoding::expect_keys(json, {"policies", "trust", "release", "officers"}, "bundle: signed");
    const Authority authority(json, subject);
    Signatures out;
    out.policy = authority.policy_signers();
    out.trust = check_trust(encoding::member(json, "trust"), subject, authority);
    out.release = check_release(encoding::member(json, "release"), subject, authority);
    return out;
  } catch (const Error& error) {
    const bool is_verdict = error.kind() == ErrorKind::ApprovalsMissing ||
                            error.kind() == ErrorKind::Denied || error.kind() == ErrorKind::Usage;
    if (!is_verdict) throw;
    throw Error(ErrorKind::LogDamaged, std::string("bundle: ") + error.what(), "", error.findings());
  }
}

}  // namespace qpcseal::verdict
