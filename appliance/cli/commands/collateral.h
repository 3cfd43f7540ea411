// SPDX-License-Identifier: Apache-2.0
// The commands about collateral bundles, below `qpcseal trust`.
#pragma once

#include "appliance/cli/commands/context.h"

namespace qpcseal::cli {

void add_collateral(CLI::App& trust, Context& context);

}  // namespace qpcseal::cli
