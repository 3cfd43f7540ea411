// SPDX-License-Identifier: Apache-2.0
// Label patterns: '*' is any run of characters, '?' any one character; everything else is itself.
#pragma once

#include <string_view>

namespace qpcseal::policy {

bool matches_glob(std::string_view pattern, std::string_view text);

// A pattern without '#' is compared with the name part of a label `name#generation`, one with '#' with the
// whole label.
bool matches_label(std::string_view pattern, std::string_view label);

}  // namespace qpcseal::policy
