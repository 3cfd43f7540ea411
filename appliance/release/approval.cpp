// SPDX-License-Identifier: Apache-2.0
#include "appliance/release/approval.h"

#include <algorithm>

#include "appliance/site/archive.h"

namespace qpcseal::release {

namespace {

using encoding::Json;

constexpr std::size_t kHexDigest = 2 * sizeof(Sha256Digest), kLine = kHexDigest + 1;

const std::string& nonce_of(const Json& record) { return encoding::text_member(record, "nonce"); }

// Of the approval that an intent carries or names; empty: of none.
std::string nonce_for(const Json& intent) {
  if (intent.contains("approval")) return nonce_of(intent.at("approval"));
  return intent.contains("approved_by") ? encoding::text_member(intent, "approved_by") : "";
}

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
    if (!encoding::is_hex(text.substr(0, kHexDigest), sizeof(Sha256Digest)) || text[kHexDigest] != '\n')
      return false;
  return true;
}

Json release_parameters(const std::string& mek_label, const Bytes& mek_id,
                        const std::vector<Sha256Digest>& reports) {
  Json out{{"mek", mek_label}, {"mek_id", to_hex(mek_id)}};
  if (reports.size() > kMaxNamedReports) {
    out["report_count"] = reports.size();
    out["reports_sha256"] = sha256_hex(report_list(reports));
    return out;
  }
  Json& names = out["reports"] = Json::array();
  for (const Sha256Digest& report : reports) names.push_back(to_hex(report));
  return out;
}

std::string list_digest(const Json& parameters) {
  if (parameters.contains("reports")) return "";
  return encoding::hex_member(parameters, "reports_sha256", sizeof(Sha256Digest));
}

bool covers_report(const Json& parameters, const std::string& list, const std::string& report) {
  const std::string digest = list_digest(parameters);
  if (digest.empty()) {
    const Json& names = encoding::member(parameters, "reports");
    return std::ranges::find(names, Json(report)) != names.end();
  }
  return digest == sha256_hex(list) && is_report_list(list) &&
         list.size() / kLine == encoding::uint_member(parameters, "report_count") &&
         list.find(report + "\n") % kLine == 0;
}

ReleaseApproval::ReleaseApproval(site::Appliance& appliance, const keys::Mek& mek,
                                 const std::vector<Sha256Digest>& reports)
    : record_(appliance.approve("release", release_parameters(mek.label, mek.id, reports))) {
  if (!record_.is_null() && reports.size() > kMaxNamedReports)
    site::archive_put(appliance.home(), report_list(reports), ".reports");
}

void ReleaseApproval::mark(audit::Log& log, const std::vector<std::uint64_t>& taken_up,
                           std::vector<Json>& intents) const {
  if (record_.is_null()) return;
  Json others = Json::array();
  for (const std::uint64_t seq : taken_up)
    if (nonce_for(log.state().open.at(seq).data) != nonce_of(record_)) others.push_back(seq);
  if (!others.empty()) log.event("release", {{"agreed", record_}, {"intents", std::move(others)}});
  bool carried = log.state().approvals_used.contains(nonce_of(record_));
  for (Json& intent : intents) {
    if (carried) {
      intent["approved_by"] = nonce_of(record_);
    } else {
      intent["approval"] = record_;
    }
    carried = true;
  }
}

bool carries_approval(const audit::Entry& entry, const audit::Entry& intent) {
  if (entry.kind != "release") return false;
  if (entry.phase == audit::Phase::Event) {
    const Json& covered = encoding::member(entry.data, "intents");
    return std::ranges::find(covered, Json(intent.seq)) != covered.end();
  }
  if (entry.phase != audit::Phase::Intent || !entry.data.contains("approval")) return false;
  return entry.seq == intent.seq || nonce_of(entry.data.at("approval")) == nonce_for(intent.data);
}

const Json& approval_in(const audit::Entry& entry) {
  return encoding::member(entry.data, entry.phase == audit::Phase::Event ? "agreed" : "approval");
}

}  // namespace qpcseal::release
