// SPDX-License-Identifier: Apache-2.0
// Canonical JSON: keys sorted by their bytes, no spaces, UTF-8, integers only, one text for one value.
// Errors are Error{Malformed}, beginning with `name`.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace qpcseal::encoding {

using Json = nlohmann::json;

inline constexpr std::size_t kMaxJsonDepth = 16;

// Refuses floats, text that is not UTF-8, and nesting deeper than kMaxJsonDepth.
std::string canonical(const Json& value);
// Any layout, but no duplicate keys, floats, integers beyond 64 bits, comments, byte-order mark or NUL.
Json parse_json(std::string_view text, std::string_view name);
// Only what canonical() writes.
Json parse_canonical(std::string_view text, std::string_view name);

// Members of an object; absent or of another type is Error{Malformed} naming the key.
const Json& member(const Json& object, const char* key);
const std::string& text_member(const Json& object, const char* key);
std::uint64_t uint_member(const Json& object, const char* key);
bool bool_member(const Json& object, const char* key);
// A text; empty where the key is absent or has another type. For what is shown.
std::string text_or_empty(const Json& object, const char* key);
// Lower-case hex of exactly `size` bytes.
const std::string& hex_member(const Json& object, const char* key, std::size_t size);
// The object has these keys and no others.
void expect_keys(const Json& object, std::initializer_list<std::string_view> keys, std::string_view name);

[[nodiscard]] bool is_hex(std::string_view text, std::size_t size);

}  // namespace qpcseal::encoding
