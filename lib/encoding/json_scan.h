// SPDX-License-Identifier: Apache-2.0
// Canonical JSON, read once from front to back without building anything: fast enough for millions of lines.
#pragma once

#include <span>
#include <string_view>

#include "encoding/json.h"

namespace qpcseal::encoding {

// A member of an object, as it stands in the text; the key without its quotes.
struct RawMember {
  std::string_view key, value;
};

// Whether canonical() could have written `text`: exactly what parse_canonical() accepts. Error{Malformed}.
void require_canonical(std::string_view text);

// `text` must be one object in canonical form with at most members.size() members: they come back in their
// order, and how many there are. Error{Malformed}.
std::size_t scan_object(std::string_view text, std::span<RawMember> members);

// A value of scan_object's as text without its quotes, or as a number. Error{Malformed} for another type, or
// for a text with escapes.
std::string_view plain_text(std::string_view value, std::string_view key);
std::uint64_t plain_uint(std::string_view value, std::string_view key);

}  // namespace qpcseal::encoding
