// SPDX-License-Identifier: Apache-2.0
// Which sources a program was built from.
#pragma once

#include <string>
#include <string_view>

namespace qpcseal {

// The commit's first 12 hex digits, with "-dirty" where files differed from it; "unknown" where neither git
// nor the tarball told (cmake/BuildInfo.cmake).
std::string_view software_commit();

// What --version prints of `program`: "qpcseal 0.2.0 (commit 0a1b2c3d4e5f)".
std::string version_line(std::string_view program);

}  // namespace qpcseal
