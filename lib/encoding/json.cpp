// SPDX-License-Identifier: Apache-2.0
#include "encoding/json.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"

namespace qpcseal::encoding {

namespace {

Error malformed(const std::string& what) { return {ErrorKind::Malformed, what}; }

// Builds the value and refuses what nlohmann's own builder lets pass: duplicate keys, floats, deep nesting.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  Json take() { return std::move(root_); }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t, const string_t& text) override {
    throw malformed("not a 64-bit integer: " + text.substr(0, 40));
  }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { throw malformed("binary value"); }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    const auto [place, fresh] = open_.back()->get_ref<Json::object_t&>().try_emplace(name);
    if (!fresh) throw malformed("duplicate key '" + name.substr(0, 40) + "'");
    slot_ = &place->second;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    throw malformed("no valid JSON at byte " + std::to_string(position));
  }

 private:
  Json* place(Json&& value) {
    Json* target = &root_;
    if (!open_.empty() && open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    if (!open_.empty()) target = slot_;
    *target = std::move(value);
    return target;
  }
  bool put(Json value) {
    place(std::move(value));
    return true;
  }
  bool open(Json container) {
    if (open_.size() == kMaxJsonDepth) throw malformed("nested too deeply");
    open_.push_back(place(std::move(container)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Json root_;
  std::vector<Json*> open_;  // the containers being filled, outermost first
  Json* slot_ = nullptr;     // where the value of the last key goes
};

void check_value(const Json& value, std::size_t depth) {
  if (value.is_number_float() || value.is_binary() || value.is_discarded())
    throw malformed("JSON value of a type that the log does not hold");
  if (!value.is_structured()) return;
  if (depth == kMaxJsonDepth) throw malformed("JSON value nested too deeply");
  for (const Json& inner : value) check_value(inner, depth + 1);
}

}  // namespace

std::string canonical(const Json& value) {
  check_value(value, 0);
  try {
    return value.dump();  // sorted keys, no spaces, refuses what is not UTF-8
  } catch (const Json::exception&) {
    throw malformed("text that is not UTF-8");
  }
}

Json parse_json(std::string_view text, std::string_view name) {
  return with_context(std::string(name), [&] {
    // Both would be skipped, or taken for the end, by the parser.
    if (text.starts_with("\xEF\xBB\xBF") || text.find('\0') != std::string_view::npos)
      throw malformed("byte-order mark or NUL");
    Builder builder;
    Json::sax_parse(text.begin(), text.end(), &builder);
    return builder.take();
  });
}

Json parse_canonical(std::string_view text, std::string_view name) {
  Json value = parse_json(text, name);
  if (canonical(value) != text) throw malformed(std::string(name) + ": JSON, but not in canonical form");
  return value;
}

const Json& member(const Json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (found == object.end()) throw malformed(std::string("no member '") + key + "'");
  return *found;
}

const std::string& text_member(const Json& object, const char* key) {
  const Json& value = member(object, key);
  if (!value.is_string()) throw malformed(std::string("'") + key + "' is not a text");
  return value.get_ref<const std::string&>();
}

std::string text_or_empty(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t uint_member(const Json& object, const char* key) {
  const Json& value = member(object, key);
  const bool fits =
      value.is_number_unsigned() || (value.is_number_integer() && value.get<std::int64_t>() >= 0);
  if (!fits) throw malformed(std::string("'") + key + "' is not an unsigned integer");
  return value.get<std::uint64_t>();
}

bool bool_member(const Json& object, const char* key) {
  const Json& value = member(object, key);
  if (!value.is_boolean()) throw malformed(std::string("'") + key + "' is neither true nor false");
  return value.get<bool>();
}

const std::string& hex_member(const Json& object, const char* key, std::size_t size) {
  const std::string& text = text_member(object, key);
  if (!is_hex(text, size))
    throw malformed(std::string("'") + key + "' is not " + std::to_string(size) + " bytes in lower-case hex");
  return text;
}

void expect_keys(const Json& object, std::initializer_list<std::string_view> keys, std::string_view name) {
  if (!object.is_object()) throw malformed(std::string(name) + ": not an object");
  for (const std::string_view key : keys)
    if (!object.contains(key)) throw malformed(std::string(name) + ": no member '" + std::string(key) + "'");
  if (object.size() != keys.size()) throw malformed(std::string(name) + ": unknown member");
}

bool is_hex(std::string_view text, std::size_t size) {
  return text.size() == 2 * size && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace qpcseal::encoding
