// SPDX-License-Identifier: Apache-2.0
// The content of a JSON file: a receipt, a bundle, the config.json of wrapped MEKs.
#pragma once

#include <string_view>

#include "appliance/cli/output/report.h"

namespace qpcseal::cli {

// Verifies nothing. Error{Malformed} for other JSON.
Report inspect_json(std::string_view text);

}  // namespace qpcseal::cli
