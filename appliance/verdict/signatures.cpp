// SPDX-License-Identifier: Apache-2.0
#include "appliance/verdict/signatures.h"

#include <algorithm>

#include "appliance/approval/quorum.h"
#include "appliance/release/approval.h"
#include "appliance/site/archive.h"
#include "appliance/site/pinned_files.h"
#include "appliance/verdict/signature_parts.h"

namespace qpcseal::verdict {

namespace {

using audit::Entry;
using audit::Phase;
using encoding::Json;

// What the log says before the verdict.
struct RelevantEntries {
  std::optional<Entry> trust, release;  // the intent that brought it in; the entry of the approval
  std::vector<Entry> policies;          // intents of those that came into force, up to the verdict's
  std::vector<Entry> officers;          // results
};

// Before it is parsed: most releases carry no approval.
bool may_carry(std::string_view line) {
  return line.find("\"approval\"") != std::string_view::npos ||
         line.find("\"agreed\"") != std::string_view::npos;
}

RelevantEntries find_relevant(const audit::LogCopy& log, const Entry& verdict, const std::string& trust) {
  RelevantEntries out;
  std::optional<Entry> intent;
  if (verdict.intent) intent = audit::parse_entry(log.line(*verdict.intent));
  log.each(0, verdict.seq, [&](std::uint64_t, std::string_view line) {
    const std::string_view kind = audit::scan_entry(line).kind;
    if (kind != "policy" && kind != "trust" && kind != "officers" && (kind != "release" || !intent))
      return true;
    if (kind == "release" && !may_carry(line)) return true;
    const Entry entry = audit::parse_entry(line);
    if (kind == "officers" && entry.outcome == "ok") out.officers.push_back(entry);
    if (kind == "release" && release::carries_approval(entry, *intent)) out.release = entry;
    if (kind == "policy" && entry.outcome == "ok")
      out.policies.push_back(audit::parse_entry(log.line(*entry.intent)));
    if (entry.phase != Phase::Intent) return true;
    if (kind == "trust" && encoding::text_member(entry.data, "digest") == trust) out.trust = entry;
    return true;
  });
  return out;
}

std::vector<OfficersSince> files_of(const site::Home& home, const Entry& genesis,
                                    const RelevantEntries& relevant) {
  std::vector<OfficersSince> out;
  const auto add = [&](std::uint64_t since, const std::string& digest) {
    const std::string text = site::archive_get(home, digest, ".officers");
    out.push_back({since, text, approval::parse_officers(text)});
  };
  if (has_officers(genesis)) add(0, encoding::text_member(genesis.data, "officers"));
  for (const Entry& entry : relevant.officers) add(entry.seq, encoding::text_member(entry.data, "digest"));
  return out;
}

Json signed_part(const audit::LogCopy& log, const std::optional<Entry>& entry,
                 const std::vector<std::string>& signatures) {
  return {{"entry", entry ? audit::proven(log, entry->seq) : Json(nullptr)}, {"signatures", signatures}};
}

Json approval_part(const site::Home& home, const audit::LogCopy& log, const Entry& entry) {
  const Json& record = release::approval_in(entry);
  const std::string text =
      site::archive_get(home, encoding::text_member(record, "request_sha256"), ".request");
  const approval::ApprovalRequest request = approval::parse_approval_request(text);
  Json out = signed_part(log, entry, site::kept_signatures(home, encoding::member(record, "approvers")));
  const bool of_reports = request.operation == "release";
  const std::string list = of_reports ? release::list_digest(request.parameters) : "";
  out["request"] = text;
  out["reports"] = list.empty() ? "" : site::archive_get(home, list, ".reports");
  out["head"] = audit::as_json(log.tree.consistency(request.log_size, log.checkpoint.size));
  return out;
}

// Who signed the policies, the first of which the genesis brought in.
Json policies_part(const site::Home& home, const audit::LogCopy& log, const Entry& genesis,
                   const std::vector<OfficersSince>& files, const RelevantEntries& relevant) {
  Json out = Json::array();
  const auto add = [&](const std::optional<Entry>& entry, const std::string& digest,
                       const std::vector<std::string>& signatures) {
    Json item = signed_part(log, entry, signatures);
    item["text"] = to_base64(view(site::archive_get(home, digest, ".signed")));
    out.push_back(std::move(item));
  };
  const std::string& first = encoding::text_member(encoding::member(genesis.data, "policy"), "digest");
  std::vector<std::string> signatures;
  if (!is_demo(genesis))
    signatures = site::found_signatures(home, officers_at(files, 0), site::kPolicyNamespace,
                                        site::archive_get(home, first, ".signed"), genesis.time);
  add(std::nullopt, first, signatures);
  for (const Entry& entry : relevant.policies)
    add(entry, encoding::text_member(entry.data, "digest"),
        site::kept_signatures(home, encoding::member(entry.data, "approvers")));
  return out;
}

Json officers_part(const site::Home& home, const audit::LogCopy& log, const std::vector<OfficersSince>& files,
                   const RelevantEntries& relevant) {
  Json out = Json::array();
  for (const OfficersSince& file : files) {
    Json item{{"entry", nullptr}, {"text", to_base64(view(file.text))}, {"approval", nullptr}};
    const auto result = std::ranges::find(relevant.officers, file.since, &Entry::seq);
    if (result != relevant.officers.end()) {
      item["entry"] = audit::proven(log, result->seq);
      item["approval"] = approval_part(home, log, audit::parse_entry(log.line(result->intent.value())));
    }
    out.push_back(std::move(item));
  }
  return out;
}

}  // namespace

Json gather_signatures(const site::Home& home, const audit::LogCopy& log, const Entry& verdict) {
  const std::string policy = encoding::text_member(encoding::member(verdict.data, "policy"), "digest");
  const std::string trust = encoding::text_member(encoding::member(verdict.data, "judged"), "trust");
  const Entry genesis = audit::parse_entry(log.line(0));
  RelevantEntries relevant = find_relevant(log, verdict, trust);
  const bool asked =
      policy::parse_policy(site::archive_get(home, policy, ".signed")).approvals_for("release").value_or(0) >
      0;
  if (!asked) relevant.release.reset();
  const std::vector<OfficersSince> files = files_of(home, genesis, relevant);
  std::vector<std::string> of_trust;
  if (relevant.trust)
    of_trust = site::kept_signatures(home, encoding::member(relevant.trust->data, "approvers"));
  return {{"policies", policies_part(home, log, genesis, files, relevant)},
          {"trust", signed_part(log, relevant.trust, of_trust)},
          {"release", relevant.release ? approval_part(home, log, *relevant.release) : Json(nullptr)},
          {"officers", officers_part(home, log, files, relevant)}};
}

}  // namespace qpcseal::verdict
