// SPDX-License-Identifier: Apache-2.0
#include "base/build_commit.h"

#include "base/clock.h"

namespace qpcseal {

std::string_view software_commit() { return QPCSEAL_COMMIT; }

std::string version_line(std::string_view program) {
  return std::string(program) + " " + std::string(software_version()) + " (commit " +
         std::string(software_commit()) + ")";
}

}  // namespace qpcseal
