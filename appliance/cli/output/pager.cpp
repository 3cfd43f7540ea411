// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/pager.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/print.h"
#include "base/retry.h"
#include "base/terminal.h"
#include "base/text.h"

namespace qpcseal::cli {

namespace {

constexpr std::size_t kUsualRows = 24, kFewestRows = 4;
constexpr std::size_t kMaxAnswer = 64;  // bytes

// How many lines of the screen a line takes.
std::size_t rows_of(const std::string& line, std::size_t columns) {
  const std::size_t width = display_width(line);
  return columns == 0 || width == 0 ? 1 : (width + columns - 1) / columns;
}

std::vector<std::string> lines_of(const std::string& text, std::size_t columns) {
  const std::string shown = wrap_lines(printable_lines(text), columns);
  std::vector<std::string> out;
  for (std::size_t at = 0; at < shown.size();) {
    const std::size_t end = std::min(shown.find('\n', at), shown.size());
    out.push_back(shown.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

}  // namespace

std::string read_answer(const Fd& terminal) {
  std::string out;
  char c = 0;
  while (out.size() < kMaxAnswer && retry_interrupted([&] { return read(terminal.get(), &c, 1); }) == 1 &&
         c != '\n')
    out += c;
  return out;
}

bool page_text(const Fd& terminal, const std::string& text, std::size_t rows_below,
               const std::string& on_quit) {
  const TerminalSize size = terminal_size(terminal.get());
  const std::size_t rows = size.rows == 0 ? kUsualRows : std::max(size.rows, kFewestRows);
  const std::vector<std::string> lines = lines_of(text, size.columns);
  std::size_t all = rows_below;
  for (const std::string& line : lines) all += rows_of(line, size.columns);
  const auto question = [&](std::size_t number) {
    return "-- more: " + std::to_string(number) + " of " + std::to_string(lines.size()) +
           " lines. Enter: go on; q: " + on_quit + ": ";
  };
  const std::size_t question_rows = rows_of(question(lines.size()), size.columns);
  std::size_t used = 0, number = 0;
  for (const std::string& line : lines) {
    if (all > rows && used > 0 && used + rows_of(line, size.columns) + question_rows > rows) {
      print_to(terminal.get(), question(number));
      std::string answer = read_answer(terminal);
      for (; !answer.empty() && answer != "q" && answer != "Q"; answer = read_answer(terminal))
        print_to(terminal.get(), "Enter or q: ");  // it may be what is asked for later
      if (!answer.empty()) return false;
      used = 0;
    }
    print_to(terminal.get(), line + "\n");
    used += rows_of(line, size.columns);
    ++number;
  }
  return true;
}

}  // namespace qpcseal::cli
