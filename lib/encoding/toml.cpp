// SPDX-License-Identifier: Apache-2.0
#include "encoding/toml.h"

#include <algorithm>

#include "base/error.h"
#include "base/nearest.h"
#include "base/text.h"
#include "base/text_file.h"

namespace qpcseal::encoding {
namespace {

std::string in_quotes(std::string_view key) { return "'" + std::string(key) + "'"; }

// A policy is read by people before they sign it: what they cannot see must not be in it.
bool clean(std::string_view text) { return !text.empty() && !has_unseen(text); }

}  // namespace

toml::table parse_toml(std::string_view text, const std::string& file) {
  with_context(file, [&] { refuse_wide_text(text); });
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw Error(ErrorKind::Malformed, file + ":" + std::to_string(error.source().begin.line) + ": " +
                                          std::string(error.description()));
  }
}

void TomlReader::refuse(int line, const std::string& why, const std::string& hint) const {
  throw Error(ErrorKind::Malformed, file_ + ":" + std::to_string(line) + ": " + what_ + ": " + why, hint);
}

const toml::node& TomlReader::take(std::string_view key) {
  const toml::node* node = table_.get(key);
  if (node == nullptr) {
    const auto typed = nearest(key, keys());
    refuse(line(), "the rule " + in_quotes(key) + " is missing",
           typed ? in_quotes(*typed) + " stands there: is it meant to be " + in_quotes(key) + "?" : "");
  }
  taken_.emplace(key);
  return *node;
}

std::string TomlReader::text(std::string_view key) {
  const toml::node& node = take(key);
  const toml::value<std::string>* value = node.as_string();
  if (value == nullptr) refuse(line_number(node), in_quotes(key) + " must be a string");
  if (!clean(value->get()))
    refuse(line_number(node),
           in_quotes(key) + " is empty or has control characters, or others that are not seen");
  return value->get();
}

std::int64_t TomlReader::integer(std::string_view key, std::int64_t low, std::int64_t high) {
  const toml::node& node = take(key);
  const toml::value<std::int64_t>* value = node.as_integer();
  if (value == nullptr) refuse(line_number(node), in_quotes(key) + " must be an integer");
  if (value->get() < low || value->get() > high) {
    refuse(line_number(node),
           in_quotes(key) + " must lie between " + std::to_string(low) + " and " + std::to_string(high));
  }
  return value->get();
}

Bytes TomlReader::parse_hex(const toml::node& node, std::string_view key) const {
  const toml::value<std::string>* value = node.as_string();
  if (value == nullptr) refuse(line_number(node), in_quotes(key) + " must be hex in a string");
  try {
    Bytes bytes = from_hex(value->get());
    if (!bytes.empty()) return bytes;
  } catch (const Error& error) {
    refuse(line_number(node), in_quotes(key) + ": " + error.what());
  }
  refuse(line_number(node), in_quotes(key) + " is empty");
}

Bytes TomlReader::hex(std::string_view key) { return parse_hex(take(key), key); }

const toml::array& TomlReader::list(std::string_view key, Empty empty) {
  const toml::node& node = take(key);
  const toml::array* array = node.as_array();
  if (array == nullptr) refuse(line_number(node), in_quotes(key) + " must be a list");
  if (array->empty() && empty == Empty::Refused)
    refuse(line_number(node), in_quotes(key) + " is an empty list");
  return *array;
}

std::vector<std::string> TomlReader::texts(std::string_view key, Empty empty) {
  std::vector<std::string> out;
  for (const toml::node& node : list(key, empty)) {
    const toml::value<std::string>* value = node.as_string();
    if (value == nullptr || !clean(value->get()))
      refuse(line_number(node),
             in_quotes(key) + " must list strings, none empty or with characters that are not seen");
    if (std::find(out.begin(), out.end(), value->get()) != out.end()) {
      refuse(line_number(node), in_quotes(key) + " has " + in_quotes(value->get()) + " twice");
    }
    out.push_back(value->get());
  }
  return out;
}

std::vector<Bytes> TomlReader::hexes(std::string_view key, Empty empty) {
  std::vector<Bytes> out;
  for (const toml::node& node : list(key, empty)) {
    Bytes bytes = parse_hex(node, key);
    if (std::find(out.begin(), out.end(), bytes) != out.end()) {
      refuse(line_number(node), in_quotes(key) + " has " + to_hex(bytes) + " twice");
    }
    out.push_back(std::move(bytes));
  }
  return out;
}

std::vector<std::int64_t> TomlReader::integers(std::string_view key, std::int64_t low, std::int64_t high) {
  std::vector<std::int64_t> out;
  for (const toml::node& node : list(key, Empty::Refused)) {
    const toml::value<std::int64_t>* value = node.as_integer();
    if (value == nullptr || value->get() < low || value->get() > high) {
      refuse(line_number(node), in_quotes(key) + " must list integers from " + std::to_string(low) + " to " +
                                    std::to_string(high));
    }
    if (std::find(out.begin(), out.end(), value->get()) != out.end()) {
      refuse(line_number(node), in_quotes(key) + " has " + std::to_string(value->get()) + " twice");
    }
    out.push_back(value->get());
  }
  return out;
}

std::vector<TomlReader> TomlReader::tables(std::string_view key, const std::string& what) {
  std::vector<TomlReader> out;
  for (const toml::node& node : list(key, Empty::Refused)) {
    const toml::table* table = node.as_table();
    if (table == nullptr) refuse(line_number(node), in_quotes(key) + " must be tables, [[...]]");
    out.emplace_back(*table, what, file_);
  }
  return out;
}

TomlReader TomlReader::table(std::string_view key, const std::string& what) {
  const toml::node& node = take(key);
  const toml::table* inner = node.as_table();
  if (inner == nullptr) refuse(line_number(node), in_quotes(key) + " must be a table");
  if (inner->empty()) refuse(line_number(node), in_quotes(key) + " is empty");
  return {*inner, what, file_};
}

std::vector<std::string> TomlReader::keys() const {
  std::vector<std::string> out;
  for (const auto& [key, node] : table_) out.emplace_back(key.str());
  return out;
}

void TomlReader::finish() const {
  for (const auto& [key, node] : table_) {
    if (!taken_.contains(key.str())) {
      refuse(static_cast<int>(key.source().begin.line), "unknown key " + in_quotes(key.str()),
             did_you_mean(key.str(), {taken_.begin(), taken_.end()}));
    }
  }
}

}  // namespace qpcseal::encoding
