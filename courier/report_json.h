// SPDX-License-Identifier: Apache-2.0
// A report as JSON, for display: nothing in it is verified.
#pragma once

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "courier/errand.h"

namespace qpcseal::courier {

nlohmann::ordered_json report_json(const Errand& errand, ByteView report);

}  // namespace qpcseal::courier
