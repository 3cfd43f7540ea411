// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

#include "base/utf8.h"

namespace qpcseal {

namespace {

// One character of UTF-8 at the front of a text, or one byte that is none.
struct Character {
  std::size_t size = 1;  // bytes
  std::uint32_t code = 0;
  bool valid = false;
};

struct Range {
  std::uint32_t first, last;
};

constexpr std::array kUnseen = {
    Range{0x00, 0x1f},     Range{0x7f, 0x9f},       Range{0x061c, 0x061c}, Range{0x200b, 0x200b},
    Range{0x200e, 0x200f}, Range{0x2028, 0x202e},   Range{0x2060, 0x206f}, Range{0xfeff, 0xfeff},
    Range{0xfff9, 0xfffb}, Range{0xe0000, 0xe007f},
};

// RFC 3629: shortest form, no surrogates, at most U+10FFFF.
Character front_of(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, lead, true};
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  std::uint32_t code = lead & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return {};
    code = (code << 6U) | (byte(i) & 0x3fU);
  }
  constexpr std::array<std::uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < kLeast[size] || surrogate || code > 0x10ffff) return {};
  return {size, code, true};
}

bool is_unseen(const Character& character) {
  return !character.valid || std::ranges::any_of(kUnseen, [&](const Range& range) {
    return character.code >= range.first && character.code <= range.last;
  });
}

bool is_combining(std::uint32_t code) { return code >= 0x0300 && code <= 0x036f; }

void append_hex(std::string& out, std::string_view bytes) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += {'\\', 'x', kHex[byte >> 4U], kHex[byte & 15U]};
  }
}

// `text`, each character as `show(character, its bytes)` puts it.
template <typename Show>
std::string each_character(std::string_view text, Show show) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character character = front_of(text);
    show(out, character, text.substr(0, character.size));
    text.remove_prefix(character.size);
  }
  return out;
}

std::string shown(std::string_view text, Letters letters, bool lines) {
  return each_character(text, [&](std::string& out, const Character& character, std::string_view bytes) {
    const bool plain = !is_unseen(character) && (letters == Letters::All || character.code < 0x80);
    if (plain || (lines && bytes == "\n")) {
      out += bytes;
    } else {
      append_hex(out, bytes);
    }
  });
}

// The entity for a character that HTML could read as markup; empty for others.
std::string_view entity_of(std::string_view character) {
  if (character == "&") return "&amp;";
  if (character == "<") return "&lt;";
  if (character == ">") return "&gt;";
  if (character == "\"") return "&quot;";
  if (character == "'") return "&#39;";
  return {};
}

}  // namespace

Letters terminal_letters() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string locale;
    for (const char c : std::string_view(value))
      if (c != '-') locale += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return locale.find(".utf8") != std::string::npos ? Letters::All : Letters::Ascii;
  }
  return Letters::Ascii;
}

std::string printable(std::string_view text, Letters letters) { return shown(text, letters, false); }

std::string printable_lines(std::string_view text, Letters letters) { return shown(text, letters, true); }

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Character character = front_of(text);
    if (!character.valid) return false;
    text.remove_prefix(character.size);
  }
  return true;
}

bool has_unseen(std::string_view text) {
  while (!text.empty()) {
    const Character character = front_of(text);
    if (is_unseen(character)) return true;
    text.remove_prefix(character.size);
  }
  return false;
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character next = front_of(text);
    out += next.valid ? text.substr(0, next.size) : std::string_view("\xef\xbf\xbd");
    text.remove_prefix(next.size);
  }
  return out;
}

std::size_t display_width(std::string_view text) {
  std::size_t out = 0;
  while (!text.empty()) {
    const Character character = front_of(text);
    if (!character.valid || !is_combining(character.code)) ++out;
    text.remove_prefix(character.size);
  }
  return out;
}

std::string join(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

std::string html_text(std::string_view text) {
  return each_character(text, [](std::string& out, const Character& character, std::string_view bytes) {
    if (const auto entity = entity_of(bytes); !entity.empty()) {
      out += entity;
    } else if (is_unseen(character) && bytes != "\n") {
      append_hex(out, bytes);
    } else {
      out += bytes;
    }
  });
}

std::string shell_word(std::string_view text) {
  static constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";
  std::string out = printable(text);
  if (!out.empty() && out.find_first_not_of(kPlain) == std::string::npos) return out;
  std::string quoted = "'";
  for (const char c : out) {
    if (c == '\'') {
      quoted += R"('\'')";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

}  // namespace qpcseal
