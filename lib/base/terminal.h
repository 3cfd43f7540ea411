// SPDX-License-Identifier: Apache-2.0
// The size of a terminal, and text laid out for it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace qpcseal {

struct TerminalSize {
  std::size_t columns = 0, rows = 0;  // 0: unknown, or the descriptor is no terminal
};
TerminalSize terminal_size(int descriptor);
// Of the terminal on standard output, else of that on standard error; 80 where neither is one.
std::size_t text_columns();

// Lines of more than `columns` are broken at blanks; the rest goes below the line's own indentation, or below
// the last column of a table's row. A word that is longer than a line stays whole. 0 columns: unchanged.
std::string wrap_lines(std::string_view text, std::size_t columns);

// The columns that UTF-8 text may need. A letter beyond ASCII is counted as two: whether it takes them, each
// terminal decides by itself.
std::size_t room_of(std::string_view text);
// A line in pieces that need at most `columns` each; nothing is left out, and there is one piece at least.
std::vector<std::string> cut(std::string_view line, std::size_t columns);

}  // namespace qpcseal
