// SPDX-License-Identifier: Apache-2.0
// Values of the policy file with their lines. Errors are those of encoding::TomlReader.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "encoding/toml.h"
#include "policy/policy.h"

namespace qpcseal::policy {

inline constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

template <typename T>
Rule<T> rule(encoding::TomlReader& reader, std::string_view key, T value) {
  return {std::move(value), reader.line_of_key(key)};
}

// Refuses list entries that are none of the words known for `key`.
inline std::vector<std::string> known_words(encoding::TomlReader& reader, std::string_view key,
                                            std::initializer_list<std::string_view> known) {
  std::vector<std::string> out = reader.texts(key);
  for (const std::string& word : out) {
    if (std::find(known.begin(), known.end(), word) == known.end()) {
      reader.refuse(reader.line_of_key(key), "'" + std::string(key) + "' does not know '" + word + "'");
    }
  }
  return out;
}

inline std::string known_word(encoding::TomlReader& reader, std::string_view key,
                              std::initializer_list<std::string_view> known) {
  std::string out = reader.text(key);
  if (std::find(known.begin(), known.end(), out) == known.end()) {
    reader.refuse(reader.line_of_key(key), "'" + std::string(key) + "' does not know '" + out + "'");
  }
  return out;
}

}  // namespace qpcseal::policy
