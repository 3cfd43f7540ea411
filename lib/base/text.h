// SPDX-License-Identifier: Apache-2.0
// Text that came from outside, made fit for where it is shown. "Unseen" are characters that a reader does not
// see, or that change how the text around them is seen: C0 and C1 controls, DEL, bidirectional controls
// (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069), line and paragraph separators (U+2028,
// U+2029), characters without width or meaning of their own (U+200B, U+2060 to U+206F, U+FEFF, U+FFF9 to
// U+FFFB, U+E0000 to U+E007F), and bytes that are no UTF-8.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qpcseal {

// Which characters beside printable ASCII are shown as they are.
enum class Letters {
  Ascii,  // none
  All,    // all that are not unseen
};

// All where the terminal reads UTF-8, by the first of LC_ALL, LC_CTYPE and LANG that is set and not empty.
Letters terminal_letters();

// One line: unseen characters and letters that are not to be shown as \xNN, byte by byte.
std::string printable(std::string_view text, Letters letters = terminal_letters());
// Several lines: as printable(), but line feeds stay.
std::string printable_lines(std::string_view text, Letters letters = terminal_letters());

// Whether the text holds an unseen character.
bool has_unseen(std::string_view text);

// Each byte that is no UTF-8 as U+FFFD: what files and JSON can hold.
std::string valid_utf8(std::string_view text);

// How many columns of a terminal the text takes: its characters, of which a combining mark takes none.
std::size_t display_width(std::string_view text);

// As one word of a POSIX shell's command, quoted where it must be; what is not printable as printable().
std::string shell_word(std::string_view text);

// "a, b, c".
std::string join(const std::vector<std::string>& words);

// For an HTML page, in attributes too: what could be read as markup is escaped, unseen characters but line
// feeds are \xNN, letters stay.
std::string html_text(std::string_view text);

}  // namespace qpcseal
