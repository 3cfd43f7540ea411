#include "appliance/verdict/signatures.h"

#include <algorithm>

#include "appliance/approval/quorum.h"
#include "appliance/release/approval.h"
#include "appliance/site/archive.h"
#include "appliance/site/pinned_files.h"
#include "appliance/verdict/signature_parts.h"

namespace qpcseal::release {

namespace {

using audit::Entry;
using audit::Json;
using audit::Phase;

// What the log says before the verdict.
struct Told {
  std::optional<Entry> policy, trust, release;  // the intents that brought them in; release: of the approval
  std::vector<Entry> officers;                  // results
};

// Before it is parsed: most releases carry no approval.
bool may_carry(std::string_view line) {
  return line.find("\"approval\"") != std::string_view::npos ||
         line.find("\"agreed\"") != std::string_view::npos;
}

Told look(const audit::LogCopy& log, const Entry& verdict, const std::string& policy,
          const std::string& trust) {
  Told out;
  std::optional<Entry> intent;
  if (verdict.intent) intent = audit::parse_entry(log.line(*verdict.intent));
  log.each(0, verdict.seq, [&](std::uint64_t, std::string_view line) {
    const std::string_view kind = audit::scan_entry(line).kind;
    if (kind != "policy" && kind != "trust" && kind != "officers" && (kind != "release" || !intent))
      return true;
    if (kind == "release" && !may_carry(line)) return true;
    const Entry entry = audit::parse_entry(line);
    if (kind == "officers" && entry.outcome == "ok") out.officers.push_back(entry);
    if (kind == "release" && carries_approval(entry, *intent)) out.release = entry;
    if (entry.phase != Phase::Intent) return true;
    if (kind == "policy" && audit::text_member(entry.data, "digest") == policy) out.policy = entry;
    if (kind == "trust" && audit::text_member(entry.data, "digest") == trust) out.trust = entry;
    return true;
  });
  return out;
}

std::vector<OfficersSince> files_of(const Home& home, const Entry& genesis, const Told& told) {
  std::vector<OfficersSince> out;
  const auto add = [&](std::uint64_t since, const std::string& digest) {
    const std::string text = kept(home, digest, ".officers");
    out.push_back({since, text, policy::parse_officers(text)});
  };
  if (has_officers(genesis)) add(0, audit::text_member(genesis.data, "officers"));
  for (const Entry& entry : told.officers) add(entry.seq, audit::text_member(entry.data, "digest"));
  return out;
}

Json signed_part(const audit::LogCopy& log, const std::optional<Entry>& entry,
                 const std::vector<std::string>& signatures) {
  return {{"entry", entry ? audit::proven(log, entry->seq) : Json(nullptr)}, {"signatures", signatures}};
}

Json release_part(const Home& home, const audit::LogCopy& log, const Entry& entry) {
  const Json& record = approval_in(entry);
  const std::string text = kept(home, audit::text_member(record, "request_sha256"), ".request");
  const ApprovalRequest request = parse_approval_request(text);
  Json out = signed_part(log, entry, kept_signatures(home, audit::member(record, "approvers")));
  const std::string list = list_digest(request.parameters);
  out["request"] = text;
  out["reports"] = list.empty() ? "" : kept(home, list, ".reports");
  out["head"] = audit::json_of(log.tree.consistency(request.log_size, log.checkpoint.size));
  return out;
}

}  // namespace

Json gather_consent(const Home& home, const audit::LogCopy& log, const Entry& verdict) {
  const std::string policy = audit::text_member(audit::member(verdict.data, "policy"), "digest");
  const std::string trust = audit::text_member(audit::member(verdict.data, "judged"), "trust");
  const Entry genesis = audit::parse_entry(log.line(0));
  Told told = look(log, verdict, policy, trust);
  const bool asked =
      policy::parse_policy(kept(home, policy, ".signed")).approvals_for("release").value_or(0) > 0;
  if (!asked) told.release.reset();
  const std::vector<OfficersSince> files = files_of(home, genesis, told);
  const auto signatures = [&](const std::optional<Entry>& entry, std::string_view name_space,
                              const std::string& digest) -> std::vector<std::string> {
    if (files.empty() || (!entry && (is_demo(genesis) || name_space == kTrustNamespace))) return {};
    if (entry) return kept_signatures(home, audit::member(entry->data, "approvers"));
    return found_signatures(home, officers_at(files, 0), name_space, kept(home, digest, ".signed"),
                            genesis.time);
  };
  Json officers = Json::array();
  for (std::size_t i = 0; i < files.size(); ++i)
    officers.push_back({{"entry", files[i].since == 0 ? Json(nullptr) : audit::proven(log, files[i].since)},
                        {"text", to_base64(view(files[i].text))}});
  return {{"policy", signed_part(log, told.policy, signatures(told.policy, kPolicyNamespace, policy))},
          {"trust", signed_part(log, told.trust, signatures(told.trust, kTrustNamespace, trust))},
          {"release", told.release ? release_part(home, log, *told.release) : Json(nullptr)},
          {"officers", std::move(officers)}};
}

}  // namespace qpcseal::release
