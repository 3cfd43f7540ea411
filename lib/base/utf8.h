// SPDX-License-Identifier: Apache-2.0
// UTF-8 as RFC 3629 has it: shortest form, no surrogates, nothing above U+10FFFF.
#pragma once

#include <string_view>

namespace qpcseal {

// Whether all of `text` is UTF-8; the empty text is.
bool is_utf8(std::string_view text);

}  // namespace qpcseal
