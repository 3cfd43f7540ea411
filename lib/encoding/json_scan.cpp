// SPDX-License-Identifier: Apache-2.0
#include "encoding/json_scan.h"

#include <array>
#include <charconv>
#include <optional>

#include "base/error.h"

namespace qpcseal::encoding {

namespace {

enum class Byte : std::uint8_t { Plain, Quote, Escape, Control, Multi };

constexpr std::array<Byte, 256> kBytes = [] {
  std::array<Byte, 256> out{};
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i < 0x20) out[i] = Byte::Control;
    if (i >= 0x80) out[i] = Byte::Multi;
  }
  out['"'] = Byte::Quote;
  out['\\'] = Byte::Escape;
  return out;
}();

Byte kind_of(char c) { return kBytes[static_cast<unsigned char>(c)]; }
unsigned value_of(char c) { return static_cast<unsigned char>(c); }

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  void value(std::size_t depth) {
    switch (peek()) {
      case '{':
        object(depth, {});
        return;
      case '[':
        array(depth);
        return;
      case '"':
        string();
        return;
      case 't':
        literal("true");
        return;
      case 'f':
        literal("false");
        return;
      case 'n':
        literal("null");
        return;
      default:
        number();
    }
  }

  // `keep`: where the members go; a member more than it holds is refused. Empty: not kept.
  std::size_t object(std::size_t depth, std::span<RawMember> keep) {
    expect('{');
    if (depth == kMaxJsonDepth) fail("nested too deeply");
    std::size_t count = 0;
    std::optional<std::string_view> before;
    while (peek() != '}') {
      if (count > 0) expect(',');
      const std::string_view key = string();
      if (before && !ascends(*before, key)) fail("keys out of order");
      before = key;
      expect(':');
      const std::size_t start = at_;
      value(depth + 1);
      if (!keep.empty()) {
        if (count == keep.size()) fail("an unknown member");
        keep[count] = {key, text_.substr(start, at_ - start)};
      }
      ++count;
    }
    ++at_;
    return count;
  }

  void expect_end() const {
    if (at_ != text_.size()) fail("something follows");
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw Error(ErrorKind::Malformed, "no canonical JSON at byte " + std::to_string(at_) + ": " + what);
  }
  [[nodiscard]] char peek() const {
    if (at_ == text_.size()) fail("cut short");
    return text_[at_];
  }
  void expect(char c) {
    if (peek() != c) fail("another character was expected");
    ++at_;
  }
  void literal(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) fail("no value");
    at_ += word.size();
  }

  void array(std::size_t depth) {
    expect('[');
    if (depth == kMaxJsonDepth) fail("nested too deeply");
    for (bool first = true; peek() != ']'; first = false) {
      if (!first) expect(',');
      value(depth + 1);
    }
    ++at_;
  }

  // 64 bits, one text for one number.
  void number() {
    const char *begin = text_.data() + at_, *end = text_.data() + text_.size();
    const bool negative = *begin == '-';
    const char* digits = begin + (negative ? 1 : 0);
    std::uint64_t magnitude = 0;
    const auto [stop, error] = std::from_chars(digits, end, magnitude);
    if (error != std::errc()) fail("no 64-bit integer");
    if (*digits == '0' && (stop - digits > 1 || negative)) fail("a number with zeros before it");
    if (negative && magnitude > std::uint64_t{1} << 63) fail("no 64-bit integer");
    at_ += static_cast<std::size_t>(stop - begin);
  }

  // Without its quotes, escapes as they stand.
  std::string_view string() {
    expect('"');
    const std::size_t start = at_;
    while (true) {
      while (at_ < text_.size() && kind_of(text_[at_]) == Byte::Plain) ++at_;
      switch (kind_of(peek())) {
        case Byte::Quote:
          return text_.substr(start, at_++ - start);
        case Byte::Escape:
          escape();
          break;
        case Byte::Multi:
          multi();
          break;
        default:
          fail("a control character");
      }
    }
  }

  // Only what must be escaped is, each character in one way.
  void escape() {
    ++at_;
    constexpr std::string_view kShort = "\"\\bfnrt";
    if (kShort.find(peek()) != std::string_view::npos) {
      ++at_;
      return;
    }
    const std::string_view code = text_.substr(at_, 5);
    constexpr std::string_view kHex = "0123456789abcdef";
    const bool shaped = code.size() == 5 && code.starts_with("u00") && (code[3] == '0' || code[3] == '1') &&
                        kHex.find(code[4]) != std::string_view::npos;
    const bool has_short =
        shaped && code[3] == '0' && std::string_view("89acd").find(code[4]) != std::string_view::npos;
    if (!shaped || has_short) fail("an escape that canonical JSON does not have");
    at_ += code.size();
  }

  // UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
  void multi() {
    const unsigned lead = value_of(text_[at_]);
    const std::size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || text_.size() - at_ <= more) fail("no UTF-8");
    const unsigned second = value_of(text_[at_ + 1]);
    const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (second < low || second > high) fail("no UTF-8");
    for (std::size_t i = 2; i <= more; ++i)
      if ((value_of(text_[at_ + i]) & 0xC0U) != 0x80) fail("no UTF-8");
    at_ += more + 1;
  }

  static bool ascends(std::string_view before, std::string_view key) {
    if (before.find('\\') == std::string_view::npos && key.find('\\') == std::string_view::npos)
      return before < key;
    const auto plain = [](std::string_view raw) {
      return Json::parse("\"" + std::string(raw) + "\"").get<std::string>();
    };
    return plain(before) < plain(key);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

void require_canonical(std::string_view text) {
  Scanner scanner(text);
  scanner.value(0);
  scanner.expect_end();
}

std::size_t scan_object(std::string_view text, std::span<RawMember> members) {
  Scanner scanner(text);
  const std::size_t count = scanner.object(0, members);
  scanner.expect_end();
  return count;
}

std::string_view plain_text(std::string_view value, std::string_view key) {
  if (!value.starts_with('"') || value.find('\\') != std::string_view::npos)
    throw Error(ErrorKind::Malformed, "'" + std::string(key) + "' is not a text");
  return value.substr(1, value.size() - 2);
}

std::uint64_t plain_uint(std::string_view value, std::string_view key) {
  std::uint64_t out = 0;
  const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), out);
  if (error != std::errc() || stop != value.data() + value.size())
    throw Error(ErrorKind::Malformed, "'" + std::string(key) + "' is not an unsigned integer");
  return out;
}

}  // namespace qpcseal::encoding
