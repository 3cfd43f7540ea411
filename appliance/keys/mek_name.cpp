// SPDX-License-Identifier: Apache-2.0
// Names and labels of MEKs: text alone, no token.
#include <algorithm>

#include "appliance/keys/mek.h"
#include "base/error.h"

namespace qpcseal::keys {

namespace {

constexpr std::size_t kMaxName = 64;  // bytes
constexpr std::size_t kMaxGenerationDigits = 9;

}  // namespace

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && name.front() != '-' && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                  c == '_' || c == '-';
         });
}

void check_name(std::string_view name) {
  if (!is_name(name))
    throw Error(
        ErrorKind::Usage,
        "'" + std::string(name) +
            "' is no name for a MEK: letters, digits, '.', '_' and '-', at most 64, and not '.' or '..'");
}

std::string make_label(std::string_view name, std::uint64_t generation) {
  return std::string(name) + "#" + std::to_string(generation);
}

std::string_view name_in(std::string_view label) { return label.substr(0, label.rfind('#')); }

std::optional<std::uint64_t> parse_generation(std::string_view digits) {
  if (digits.empty() || digits.size() > kMaxGenerationDigits || digits.front() == '0') return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

}  // namespace qpcseal::keys
