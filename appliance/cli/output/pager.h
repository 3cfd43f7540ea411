// SPDX-License-Identifier: Apache-2.0
// A long text on a terminal, a screenful at a time: nobody signs what has scrolled by.
#pragma once

#include <string>

#include "base/fd.h"

namespace qpcseal::cli {

// A line that is typed at the terminal, without its end; what of it had come when the terminal went away.
std::string read_answer(const Fd& terminal);

// Shows `text`, broken between words at the terminal's width, and waits for Enter after each screenful; a
// terminal that does not tell its size has 24 lines. A text that leaves room for `rows_below` more lines on
// one screen is shown without a stop. False: "q" was typed, or the terminal went away; `on_quit` says what
// that means. Error{Io}.
bool page_text(const Fd& terminal, const std::string& text, std::size_t rows_below,
               const std::string& on_quit);

}  // namespace qpcseal::cli
