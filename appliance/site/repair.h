// SPDX-License-Identifier: Apache-2.0
// Repairs of an appliance that does not open, or that refuses to act: new site facts, an anchor that is too
// old, a wrong clock. Officers sign a repair as they sign other acts, but their signatures are verified from
// the log alone, before a module is loaded. Each repair has a quorum even where the policy does not name the
// operation, so that no policy locks an appliance for good (policy/officers_needed.h). A demonstration
// without officers takes `yes` instead.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/approval/quorum.h"
#include "appliance/audit/read.h"
#include "appliance/site/home.h"

namespace qpcseal::site {

inline constexpr std::string_view kNoImage = "none";

// What is not named stays as it is.
struct SiteChange {
  std::optional<std::string> module;  // absolute path: its digest is the new fact
  std::optional<std::string> module_arguments;
  std::optional<std::vector<std::string>> accept;
  std::optional<bool> anchor;
  std::optional<std::uint64_t> clock_days;
  // Programs to pin, or to pin anew, by name: paths as they are on this machine now, the program's first.
  std::map<std::string, std::vector<std::string>> programs;
  std::vector<std::string> forget_programs;
  std::optional<bool> swap;
  std::optional<std::string> image;  // root hash, hex; kNoImage: none is demanded
};

struct Repair {
  std::optional<SiteChange> site;
  bool accept_anchor = false;
  bool yes = false;  // in a demonstration without officers
};

struct AgreedSite {
  audit::SiteFacts before, now;
  encoding::Json approval;  // null in a demonstration without officers
};

// The facts after the change. Error{Usage} for an unknown attribute, a number of days out of range, and a
// program that cannot be pinned or is not pinned; Error{Io} for a file that cannot be read.
audit::SiteFacts changed(audit::SiteFacts facts, const SiteChange& change, const Home& home);
// What officers agree to (site-change): the members that differ, lists as words with commas between.
encoding::Json request_parameters(const audit::SiteFacts& before, const audit::SiteFacts& now);
// What officers agree to (anchor-accept): `anchor` as the error named it, `log_size`, `log_root`.
encoding::Json anchor_parameters(const std::string& anchor, const tlog::Checkpoint& log);

// The officers' approval of a repair; nothing in a demonstration without officers. Where officers rejected
// it, `rejecters` says who. Errors as approve_repair().
std::optional<approval::ApprovalResult> judge_repair(const Home& home, const audit::LogCopy& log,
                                                     const approval::ApprovalFiles& files, bool yes,
                                                     UnixTime now, const std::string& operation,
                                                     const encoding::Json& parameters);
// The approval for the log's entry, or null in a demonstration. Error{ApprovalsMissing} where officers have
// not agreed or have rejected it; Error{Usage} where `yes` is missing.
encoding::Json approve_repair(const Home& home, const audit::LogCopy& log,
                              const approval::ApprovalFiles& files, bool yes, UnixTime now,
                              const std::string& operation, const encoding::Json& parameters);
// approve_repair() for a change of the site. Error{Usage} where nothing changes.
AgreedSite agree_to_site(const Home& home, const approval::ApprovalFiles& files, const Repair& repair,
                         UnixTime now);

}  // namespace qpcseal::site
