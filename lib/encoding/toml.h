// SPDX-License-Identifier: Apache-2.0
// A strict view of one TOML table: each key is taken once, what nobody took is an error, and every error has
// its line.
#pragma once

#include <toml++/toml.h>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace qpcseal::encoding {

// Error{Malformed} names the file and the line, or UTF-16 text for what it is.
toml::table parse_toml(std::string_view text, const std::string& file);

class TomlReader {
 public:
  TomlReader(const toml::table& table, std::string what, std::string file)
      : table_(table), what_(std::move(what)), file_(std::move(file)) {}

  [[nodiscard]] int line() const { return line_number(table_); }
  [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }
  // The node of a required key, and its line.
  const toml::node& take(std::string_view key);
  int line_of_key(std::string_view key) { return line_number(take(key)); }
  std::string text(std::string_view key);  // never empty
  std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high);
  Bytes hex(std::string_view key);  // never empty
  // Lists: never empty unless told, no value twice.
  enum class Empty { Refused, Allowed };
  std::vector<std::string> texts(std::string_view key, Empty empty = Empty::Refused);
  std::vector<Bytes> hexes(std::string_view key, Empty empty = Empty::Refused);
  std::vector<std::int64_t> integers(std::string_view key, std::int64_t low, std::int64_t high);
  // An array of tables, [[key]]; never empty.
  std::vector<TomlReader> tables(std::string_view key, const std::string& what);
  TomlReader table(std::string_view key, const std::string& what);
  [[nodiscard]] std::vector<std::string> keys() const;
  // Refuses keys that nobody took, and names a key that was taken and is near.
  void finish() const;
  [[noreturn]] void refuse(int line, const std::string& why, const std::string& hint = {}) const;
  [[nodiscard]] static int line_number(const toml::node& node) {
    return static_cast<int>(node.source().begin.line);
  }

 private:
  const toml::array& list(std::string_view key, Empty empty);
  Bytes parse_hex(const toml::node& node, std::string_view key) const;
  const toml::table& table_;
  std::string what_, file_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace qpcseal::encoding
