// SPDX-License-Identifier: Apache-2.0
#include "encoding/cbor.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "base/error.h"
#include "base/utf8.h"

namespace qpcseal::cbor {

namespace {

constexpr std::uint64_t kFalse = 20, kTrue = 21, kNull = 22;

bool less(ByteView a, ByteView b) { return std::ranges::lexicographical_compare(a, b); }

}  // namespace

class Parser {
 public:
  Parser(ByteView bytes, Level level, std::string_view name) : rest_(bytes), level_(level), name_(name) {}

  Value item(unsigned depth) {
    if (depth > kMaxDepth) fail("nested deeper than 16");
    const ByteView start = rest_;
    Value value;
    const std::uint8_t initial = take(1)[0];
    const unsigned major = initial >> 5, info = initial & 31;
    if (major == 7 && info >= 24 && info <= 27) fail("floats and other simple values are not allowed");
    value.number_ = argument(info);
    fill(value, major, depth);
    value.raw_ = start.first(start.size() - rest_.size());
    return value;
  }

  void expect_end() const {
    if (!rest_.empty()) fail("bytes after the item");
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::Malformed, std::string(name_) + ": CBOR: " + what);
  }

  ByteView take(std::uint64_t size) {
    if (size > rest_.size()) fail("truncated");
    const ByteView out = rest_.first(static_cast<std::size_t>(size));
    rest_ = rest_.subspan(static_cast<std::size_t>(size));
    return out;
  }

  std::uint64_t argument(unsigned info) {
    if (info < 24) return info;
    if (info > 27) fail(info == 31 ? "indefinite length" : "reserved additional information");
    const unsigned width = 1U << (info - 24);
    const std::uint64_t value = load_be(take(width));
    const std::uint64_t least = width == 1 ? 24 : std::uint64_t{1} << (4 * width);
    if (value < least) fail("not the shortest form");
    return value;
  }

  void fill(Value& value, unsigned major, unsigned depth) {
    switch (major) {
      case 0:
        value.type_ = Type::Unsigned;
        return;
      case 1:
        value.type_ = Type::Negative;
        return;
      case 2:
        value.type_ = Type::ByteString;
        value.string_ = take(value.number_);
        return;
      case 3:
        value.type_ = Type::Text;
        value.string_ = take(value.number_);
        if (!is_utf8(text_view(value.string_))) fail("text that is not UTF-8");
        return;
      case 4:
        return array(value, depth);
      case 5:
        return map(value, depth);
      case 6:
        value.type_ = Type::Tag;
        value.items_.push_back(item(depth + 1));
        return;
      default:
        return simple(value);
    }
  }

  void array(Value& value, unsigned depth) {
    value.type_ = Type::Array;
    if (value.number_ > rest_.size()) fail("more elements than bytes");
    for (std::uint64_t i = 0; i < value.number_; ++i) value.items_.push_back(item(depth + 1));
  }

  void map(Value& value, unsigned depth) {
    value.type_ = Type::Map;
    if (value.number_ > rest_.size() / 2) fail("more elements than bytes");
    for (std::uint64_t i = 0; i < value.number_; ++i) {
      Value key = item(depth + 1);
      if (level_ == Level::Deterministic && !value.pairs_.empty() &&
          !less(value.pairs_.back().first.raw(), key.raw()))
        fail("map keys out of order or twice");
      Value member = item(depth + 1);
      value.pairs_.emplace_back(std::move(key), std::move(member));
    }
    if (level_ == Level::Strict) refuse_duplicates(value);
  }

  void refuse_duplicates(const Value& value) const {
    std::vector<ByteView> keys;
    for (const auto& pair : value.pairs_) keys.push_back(pair.first.raw());
    std::ranges::sort(keys, less);
    if (std::ranges::adjacent_find(keys, [](ByteView a, ByteView b) { return std::ranges::equal(a, b); }) !=
        keys.end())
      fail("a map key twice");
  }

  void simple(Value& value) {
    if (value.number_ == kNull) {
      value.type_ = Type::Null;
    } else if (value.number_ == kFalse || value.number_ == kTrue) {
      value.type_ = Type::Bool;
      value.bool_ = value.number_ == kTrue;
    } else {
      fail("a simple value other than false, true and null");
    }
  }

  ByteView rest_;
  Level level_;
  std::string_view name_;
};

namespace {
[[noreturn]] void wrong_type(std::string_view what, const char* wanted) {
  throw Error(ErrorKind::Malformed, std::string(what) + " is not " + wanted);
}
}  // namespace

Value parse(ByteView bytes, Level level, std::string_view name) {
  return parse_large(bytes, level, name, kMaxSize);
}

Value parse_large(ByteView bytes, Level level, std::string_view name, std::size_t max_size) {
  constexpr std::size_t kKiB = 1024;
  if (bytes.size() > max_size)
    throw Error(ErrorKind::Malformed,
                std::string(name) + ": CBOR: more than " + std::to_string(max_size / kKiB) + " KiB");
  Parser parser(bytes, level, name);
  Value value = parser.item(1);
  parser.expect_end();
  return value;
}

std::uint64_t Value::as_unsigned(std::string_view what) const {
  if (type_ != Type::Unsigned) wrong_type(what, "an unsigned integer");
  return number_;
}

std::int64_t Value::as_int(std::string_view what) const {
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if ((type_ != Type::Unsigned && type_ != Type::Negative) || number_ > kMax)
    wrong_type(what, "a 64-bit integer");
  const auto number = static_cast<std::int64_t>(number_);
  return type_ == Type::Unsigned ? number : -1 - number;
}

ByteView Value::as_bytes(std::string_view what) const {
  if (type_ != Type::ByteString) wrong_type(what, "a byte string");
  return string_;
}

std::string_view Value::as_text(std::string_view what) const {
  if (type_ != Type::Text) wrong_type(what, "a text string");
  return text_view(string_);
}

bool Value::as_bool(std::string_view what) const {
  if (type_ != Type::Bool) wrong_type(what, "true or false");
  return bool_;
}

const std::vector<Value>& Value::as_array(std::string_view what) const {
  if (type_ != Type::Array) wrong_type(what, "an array");
  return items_;
}

const std::vector<std::pair<Value, Value>>& Value::as_map(std::string_view what) const {
  if (type_ != Type::Map) wrong_type(what, "a map");
  return pairs_;
}

std::uint64_t Value::tag_number(std::string_view what) const {
  if (type_ != Type::Tag) wrong_type(what, "a tagged item");
  return number_;
}

const Value& Value::tagged(std::string_view what) const {
  if (type_ != Type::Tag) wrong_type(what, "a tagged item");
  return items_.front();
}

const Value* Value::find(std::int64_t key) const {
  const Type wanted = key >= 0 ? Type::Unsigned : Type::Negative;
  const auto number = static_cast<std::uint64_t>(key >= 0 ? key : -1 - key);
  for (const auto& [name, member] : pairs_)
    if (name.type_ == wanted && name.number_ == number) return &member;
  return nullptr;
}

void Writer::head(unsigned major, std::uint64_t argument) {
  const auto initial = [&](unsigned info) { out_.push_back(static_cast<std::uint8_t>(major << 5 | info)); };
  if (argument < 24) return initial(static_cast<unsigned>(argument));
  const unsigned power = argument <= 0xff ? 0 : argument <= 0xffff ? 1 : argument <= 0xffffffff ? 2 : 3;
  initial(24 + power);
  append_be(out_, argument, 1U << power);
}

Writer& Writer::unsigned_(std::uint64_t value) { return head(0, value), *this; }

Writer& Writer::integer(std::int64_t value) {
  if (value >= 0) return unsigned_(static_cast<std::uint64_t>(value));
  return head(1, static_cast<std::uint64_t>(-1 - value)), *this;
}

Writer& Writer::bytes(ByteView value) {
  head(2, value.size());
  append(out_, value);
  return *this;
}

Writer& Writer::text(std::string_view value) {
  head(3, value.size());
  append(out_, value);
  return *this;
}

Writer& Writer::boolean(bool value) { return head(7, value ? kTrue : kFalse), *this; }
Writer& Writer::null() { return head(7, kNull), *this; }
Writer& Writer::array(std::uint64_t count) { return head(4, count), *this; }
Writer& Writer::map(std::uint64_t count) { return head(5, count), *this; }
Writer& Writer::tag(std::uint64_t number) { return head(6, number), *this; }

Writer& Writer::encoded(ByteView item) {
  append(out_, item);
  return *this;
}

}  // namespace qpcseal::cbor
