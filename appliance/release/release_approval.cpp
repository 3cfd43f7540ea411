#include "appliance/release/release_approval.h"

#include <algorithm>

#include "appliance/release/archive.h"
#include "base/error.h"

namespace qpcseal::release {

namespace {

using audit::Json;

constexpr std::size_t kHexDigest = 2 * sizeof(Sha256Digest), kLine = kHexDigest + 1;

const std::string& nonce_of(const Json& record) { return audit::text_member(record, "nonce"); }

}  // namespace

std::string report_list(const std::vector<Sha256Digest>& reports) {
  std::string out;
  out.reserve(reports.size() * kLine);
  for (const Sha256Digest& report : reports) out += to_hex(report) + "\n";
  return out;
}

bool is_report_list(std::string_view text) {
  if (text.empty() || text.size() % kLine != 0) return false;
  for (; !text.empty(); text.remove_prefix(kLine))
    if (!audit::is_hex(text.substr(0, kHexDigest), sizeof(Sha256Digest)) || text[kHexDigest] != '\n')
      return false;
  return true;
}

Json release_parameters(const std::string& mek_label, const Bytes& mek_id,
                        const std::vector<Sha256Digest>& reports) {
  Json out{{"mek", mek_label}, {"mek_id", to_hex(mek_id)}};
  if (reports.size() > kMaxNamedReports) {
    out["report_count"] = reports.size();
    out["reports_sha256"] = to_hex(sha256(view(report_list(reports))));
    return out;
  }
  Json& names = out["reports"] = Json::array();
  for (const Sha256Digest& report : reports) names.push_back(to_hex(report));
  return out;
}

std::string list_digest(const Json& parameters) {
  if (parameters.contains("reports")) return "";
  return audit::hex_member(parameters, "reports_sha256", sizeof(Sha256Digest));
}

bool covers_report(const Json& parameters, const std::string& list, const std::string& report) {
  const std::string digest = list_digest(parameters);
  if (digest.empty()) {
    const Json& names = audit::member(parameters, "reports");
    return std::ranges::find(names, Json(report)) != names.end();
  }
  return digest == to_hex(sha256(view(list))) && is_report_list(list) &&
         list.size() / kLine == audit::uint_member(parameters, "report_count") &&
         list.find(report + "\n") % kLine == 0;
}

ReleaseApproval::ReleaseApproval(Appliance& appliance, const keys::Mek& mek,
                                 const std::vector<Sha256Digest>& reports)
    : record_(appliance.approve("release", release_parameters(mek.label, mek.id, reports))) {
  if (!record_.is_null() && reports.size() > kMaxNamedReports)
    keep(appliance.home(), report_list(reports), ".reports");
}

void ReleaseApproval::mark(const audit::State& state, std::vector<Json>& intents) const {
  if (record_.is_null()) return;
  const bool carried = state.approvals_used.contains(nonce_of(record_));
  if (!carried && intents.empty())
    throw Error(ErrorKind::ApprovalsMissing, "these releases were begun under another request for approval",
                "give that one: a run that was cut short goes on under it");
  for (std::size_t i = 0; i < intents.size(); ++i) {
    if (i == 0 && !carried) {
      intents[i]["approval"] = record_;
    } else {
      intents[i]["approved_by"] = nonce_of(record_);
    }
  }
}

bool carries_approval(const audit::Entry& entry, const audit::Entry& intent) {
  const auto approval = entry.data.find("approval"), named = intent.data.find("approved_by");
  if (entry.kind != "release" || entry.phase != audit::Phase::Intent || approval == entry.data.end())
    return false;
  if (named == intent.data.end()) return entry.seq == intent.seq;
  return audit::member(*approval, "nonce") == *named;
}

}  // namespace qpcseal::release
