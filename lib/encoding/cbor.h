// SPDX-License-Identifier: Apache-2.0
// CBOR (RFC 8949), strictly: definite lengths, shortest form, no duplicate map keys, nothing after the item,
// depth at most 16, element counts at most the bytes that remain, at most 64 KiB. No floats, no simple values
// but false, true and null. Level::Deterministic also wants map keys in bytewise order of their encodings
// (section 4.2.1).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace qpcseal::cbor {

enum class Level { Strict, Deterministic };
enum class Type { Unsigned, Negative, ByteString, Text, Array, Map, Tag, Bool, Null };

inline constexpr std::size_t kMaxSize = 65536;
inline constexpr unsigned kMaxDepth = 16;

// A parsed item. Strings and raw() are views into the input, which must outlive it. Accessors throw
// Error{Malformed} naming `what` when the type is another.
class Value {
 public:
  [[nodiscard]] Type type() const { return type_; }
  [[nodiscard]] ByteView raw() const { return raw_; }  // the encoded item, exactly as received
  [[nodiscard]] bool is(Type type) const { return type_ == type; }
  [[nodiscard]] std::uint64_t as_unsigned(std::string_view what) const;
  [[nodiscard]] std::int64_t as_int(std::string_view what) const;  // either sign, within int64
  [[nodiscard]] ByteView as_bytes(std::string_view what) const;
  [[nodiscard]] std::string_view as_text(std::string_view what) const;  // valid UTF-8
  [[nodiscard]] bool as_bool(std::string_view what) const;
  [[nodiscard]] const std::vector<Value>& as_array(std::string_view what) const;
  [[nodiscard]] const std::vector<std::pair<Value, Value>>& as_map(std::string_view what) const;
  [[nodiscard]] std::uint64_t tag_number(std::string_view what) const;
  [[nodiscard]] const Value& tagged(std::string_view what) const;
  // Map look-up by integer key; null when absent or when this is no map.
  [[nodiscard]] const Value* find(std::int64_t key) const;

 private:
  friend class Parser;
  Type type_ = Type::Null;
  bool bool_ = false;
  std::uint64_t number_ = 0;  // the argument: value, -1-value, or tag
  ByteView string_, raw_;
  std::vector<Value> items_;
  std::vector<std::pair<Value, Value>> pairs_;
};

Value parse(ByteView bytes, Level level, std::string_view name);
// The same with another limit of the size, in bytes.
Value parse_large(ByteView bytes, Level level, std::string_view name, std::size_t max_size);

// Writes shortest-form CBOR; the caller gives map keys in their order.
class Writer {
 public:
  Writer& unsigned_(std::uint64_t value);
  Writer& integer(std::int64_t value);
  Writer& bytes(ByteView value);
  Writer& text(std::string_view value);
  Writer& boolean(bool value);
  Writer& null();
  Writer& array(std::uint64_t count);
  Writer& map(std::uint64_t count);
  Writer& tag(std::uint64_t number);
  Writer& encoded(ByteView item);  // an item already encoded
  [[nodiscard]] const Bytes& data() const { return out_; }
  [[nodiscard]] Bytes take() { return std::move(out_); }

 private:
  void head(unsigned major, std::uint64_t argument);
  Bytes out_;
};

}  // namespace qpcseal::cbor
