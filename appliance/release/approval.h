// SPDX-License-Identifier: Apache-2.0
// The officers' approval of releases: one request for all reports of a command. A run that was cut short goes
// on under it. FORMAT.md section 7.1.
#pragma once

#include <string>
#include <vector>

#include "appliance/site/appliance.h"

namespace qpcseal::release {

// A request names up to so many reports one by one. For more it has their number and the SHA-256 of their
// list.
inline constexpr std::size_t kMaxNamedReports = 64;

// Each report's SHA-256 in hex and a line feed.
std::string report_list(const std::vector<Sha256Digest>& reports);
// Whether the text is such a list, of at least one report.
[[nodiscard]] bool is_report_list(std::string_view text);

// The parameters of the request, which officers see and sign.
encoding::Json release_parameters(const std::string& mek_label, const Bytes& mek_id,
                                  const std::vector<Sha256Digest>& reports);
// The SHA-256 of the report list in the parameters, hex. Empty where they name the reports themselves.
std::string list_digest(const encoding::Json& parameters);
// Whether the parameters cover this report (hex digest). `list` is used where they do not name the reports
// themselves.
[[nodiscard]] bool covers_report(const encoding::Json& parameters, const std::string& list,
                                 const std::string& report);

class ReleaseApproval {
 public:
  // Errors as Appliance::approve(). The list of many reports is kept in the home.
  ReleaseApproval(site::Appliance& appliance, const keys::Mek& mek, const std::vector<Sha256Digest>& reports);

  // Writes the approval into the intents of a batch: the first intent carries it, the others name it. An
  // event covers open intents that this run takes up and that were begun under another approval or none.
  void mark(audit::Log& log, const std::vector<std::uint64_t>& taken_up,
            std::vector<encoding::Json>& intents) const;

 private:
  encoding::Json record_;  // null where the policy asks for nobody
};

// Whether `entry`, an intent or an event, carries the approval of the release `intent`; and that approval.
[[nodiscard]] bool carries_approval(const audit::Entry& entry, const audit::Entry& intent);
const encoding::Json& approval_in(const audit::Entry& entry);

}  // namespace qpcseal::release
