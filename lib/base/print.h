// SPDX-License-Identifier: Apache-2.0
// The one way on which the three programs write to standard output, standard error and the terminal. Every
// text passes printable_lines() here (lib/base/text.h), so nothing from outside can steer a terminal; a part
// of a line that comes from outside also passes printable() where the line is made, for a line feed in it
// would look like ours. `ci/layering` keeps other ways out of the sources.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace qpcseal {

// Text for people is broken between words at the width of the terminal; everything else, such as JSON and
// files, keeps its lines. What goes to a pipe or a file is never broken.
enum class Lines { Keep, Wrap };

// To standard output, whole and flushed. Error{Io} where that fails. A pipe whose reader has left (`| head`)
// is no failure: from then on nothing is written, and nobody misses it.
void print(std::string_view text, Lines lines = Lines::Keep);
// Whether the reader of standard output has left, so that the rest need not be made.
bool reader_left();

// A file's bytes to standard output, as they are: for an output that is named "-". From then on print()
// writes to standard error, and only text for people does. Error{Usage} where standard output is a terminal.
void write_output(std::string_view bytes);

// To standard error, for people; what cannot be written there is lost.
void print_error(std::string_view text);
// "PROGRAM: error: MESSAGE", and "hint: HINT" where there is one, each as one line.
void print_failure(std::string_view program, std::string_view message, std::string_view hint = {});

// A line on standard error that the next one overwrites; an empty one clears it.
void draw_line(std::string_view text);
// On the terminal of standard error: clears the line of the cursor, `above` lines over it and all that is
// below, and leaves the cursor where they began.
void clear_lines(std::size_t above);

// To an open terminal, for people. Error{Io} where that fails.
void print_to(int terminal, std::string_view text);

// JSON as the programs print it: indented, and nothing but ASCII, so that no reader's terminal can be steered
// by it. Bytes that are no UTF-8 become U+FFFD.
template <typename Json>
std::string json_text(const Json& json) {
  return json.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

}  // namespace qpcseal
