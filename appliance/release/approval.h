// SPDX-License-Identifier: Apache-2.0
// The officers' agreement to releases: one request for all reports of a command, under which a run that was
// cut short goes on. FORMAT.md section 7.1.
#pragma once

#include <string>
#include <vector>

#include "appliance/site/appliance.h"

namespace qpcseal::release {

// A request names so many reports one by one; of more it gives their number and the SHA-256 of their list.
inline constexpr std::size_t kMaxNamedReports = 64;

// Each report's SHA-256 in hex and a line feed.
std::string report_list(const std::vector<Sha256Digest>& reports);
// Whether it is one, of at least one report.
[[nodiscard]] bool is_report_list(std::string_view text);

// The act that officers see and sign.
audit::Json release_parameters(const std::string& mek_label, const Bytes& mek_id,
                               const std::vector<Sha256Digest>& reports);
// The SHA-256 of the list that the parameters stand for, hex; empty where they name the reports themselves.
std::string list_digest(const audit::Json& parameters);
// Whether they cover this report (hex). `list` counts where they do not name the reports themselves.
[[nodiscard]] bool covers_report(const audit::Json& parameters, const std::string& list,
                                 const std::string& report);

class ReleaseApproval {
 public:
  // Errors as Appliance::approve(). The list of many reports is kept in the home.
  ReleaseApproval(Appliance& appliance, const keys::Mek& mek, const std::vector<Sha256Digest>& reports);

  // Into the intents of a batch: the first of all carries the approval, the others name it. Open intents that
  // are taken up, and were begun under another one or none, are covered by an event.
  void mark(audit::Log& log, const std::vector<std::uint64_t>& taken_up,
            std::vector<audit::Json>& intents) const;

 private:
  audit::Json record_;  // null where the policy asks for nobody
};

// Whether `entry`, an intent or an event, carries the approval for the release `intent`; and that approval.
[[nodiscard]] bool carries_approval(const audit::Entry& entry, const audit::Entry& intent);
const audit::Json& approval_in(const audit::Entry& entry);

}  // namespace qpcseal::release
