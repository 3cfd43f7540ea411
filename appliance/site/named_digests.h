// SPDX-License-Identifier: Apache-2.0
// The digests that a log names, by kind of file.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "appliance/audit/read.h"

namespace qpcseal::site {

// All as hex. A digest counts only for the kind of file that the entry names.
struct NamedDigests {
  std::set<std::string> texts;     // policies and collateral bundles
  std::set<std::string> officers;  // officers files
  std::set<std::string> trust;     // trust folders
  std::set<std::string> requests, plans, rehearsals, geneses;
  std::set<std::string> signatures;  // that counted, for or against
  std::set<std::string> reports;
  std::map<std::string, std::string> quarantined;  // by the file's name in the log's folder

  // Of the files that approvals/ keeps with this extension; none for .sig, .trust and .reports.
  [[nodiscard]] const std::set<std::string>& kept_as(std::string_view extension) const;
};

NamedDigests collect_named_digests(const audit::LogCopy& log);

}  // namespace qpcseal::site
