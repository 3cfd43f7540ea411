// The commands about collateral bundles, below `qpcseal trust`.
#pragma once

#include "appliance/cli/app.h"

namespace qpcseal::cli {

void add_collateral(CLI::App& trust, Context& context);

}  // namespace qpcseal::cli
