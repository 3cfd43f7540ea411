// SPDX-License-Identifier: Apache-2.0
// What the vendor's tool made, for the four commands that run it.
#pragma once

#include "appliance/cli/output/report.h"
#include "appliance/keys/mek.h"
#include "appliance/vendor/vendor_tool.h"

namespace qpcseal::cli {

// `mek`: null where no key was exposed.
Report render_vendor(const vendor::VendorResult& result, const keys::Mek* mek);

}  // namespace qpcseal::cli
