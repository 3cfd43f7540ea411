// SPDX-License-Identifier: Apache-2.0
// The content of a QPC, plain or sealed, with the containers in it.
#pragma once

#include "appliance/cli/output/report.h"
#include "base/file.h"

namespace qpcseal::cli {

// Needs neither token nor home; where there is a home, its log gives the label of a MEK id.
Report inspect_container(const Fd& file);

}  // namespace qpcseal::cli
