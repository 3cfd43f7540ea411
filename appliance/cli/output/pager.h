// SPDX-License-Identifier: Apache-2.0
// A long text on a terminal, a screenful at a time: nobody signs what has scrolled by.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/fd.h"

namespace qpcseal::cli {

// A line that is typed at the terminal, without its end; what of it had come when the terminal went away.
std::string read_answer(const Fd& terminal);

// What is shown. A file's lines are numbered from 1; the others are ours, whatever they quote.
struct Passage {
  std::string text;
  bool is_file = false;
};

// How many columns are left for a line beside the pager's own, which are on the left of each row: "12 | "
// where line 12 of a file begins, "   + " where a line of any kind goes on, blanks where one of ours begins.
// A text reaches none of them. A terminal that does not tell its size has 24 rows of 80 columns.
std::size_t page_room(const Fd& terminal, const std::vector<Passage>& passages);

// Shows the passages and waits for Enter after each screenful; our own lines are broken between words, a
// file's where the row ends. A text that leaves room for `rows_below` more rows on one screen is shown
// without a stop. False: "q" was typed, or the terminal went away; `on_quit` says what that means. Error{Io}.
bool page_text(const Fd& terminal, const std::vector<Passage>& passages, std::size_t rows_below,
               const std::string& on_quit);

}  // namespace qpcseal::cli
