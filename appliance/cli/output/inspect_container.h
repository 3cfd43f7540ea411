// SPDX-License-Identifier: Apache-2.0
// What a QPC is and holds, plain or sealed, with the containers in it.
#pragma once

#include "appliance/cli/output/report.h"
#include "base/file.h"

namespace qpcseal::cli {

// Needs neither token nor home; where there is one, its log tells which MEK an id is.
Report inspect_container(const Fd& file);

}  // namespace qpcseal::cli
