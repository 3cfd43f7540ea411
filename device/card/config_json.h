// SPDX-License-Identifier: Apache-2.0
// A card's configuration as JSON, for its file and for `describe`.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "device/card/card_store.h"

namespace qpcseal::device {

nlohmann::ordered_json config_json(const CardConfig& config);
// "test", "development", "secured", "rma". Throws Error{Malformed} for other words.
unsigned lifecycle_from(std::string_view name);

}  // namespace qpcseal::device
