// SPDX-License-Identifier: Apache-2.0
// Lists of card numbers: "2", "0-3", "0,2", or a mix of them.
#pragma once

#include <string_view>
#include <vector>

namespace qpcseal::attest {

inline constexpr unsigned kMaxDevice = 1023;

// In the order given. Throws Error{Usage} for anything else, a number above kMaxDevice, or one that comes
// twice.
std::vector<unsigned> parse_devices(std::string_view text);

}  // namespace qpcseal::attest
