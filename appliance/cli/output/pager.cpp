// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/pager.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/print.h"
#include "base/retry.h"
#include "base/terminal.h"
#include "base/text.h"

namespace qpcseal::cli {

namespace {

constexpr std::size_t kUsualRows = 24, kUsualColumns = 80, kFewestRows = 4;
constexpr std::size_t kMaxAnswer = 64;  // bytes
constexpr std::string_view kBegins = " | ", kGoesOn = " + ", kOurs = "   ";

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    out.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

std::size_t columns_of(const Fd& terminal) {
  const std::size_t told = terminal_size(terminal.get()).columns;
  return told == 0 ? kUsualColumns : told;
}

// Of the greatest line number.
std::size_t digits_of(const std::vector<Passage>& passages) {
  std::ptrdiff_t most = 1;
  for (const Passage& each : passages)
    if (each.is_file) most = std::max(most, std::ranges::count(each.text, '\n') + 1);
  return std::to_string(most).size();
}

// A line as the pieces that rows hold.
std::vector<std::string> pieces_of(const std::string& line, bool of_file, std::size_t room) {
  if (of_file) return cut(line, room);
  std::vector<std::string> out;
  for (const std::string& words : lines_of(wrap_lines(line, room) + "\n"))
    for (std::string& piece : cut(words, room)) out.push_back(std::move(piece));
  return out;
}

std::vector<std::string> rows_of(const std::vector<Passage>& passages, std::size_t room) {
  const std::string blank(digits_of(passages), ' ');
  std::vector<std::string> out;
  for (const Passage& passage : passages) {
    std::size_t number = 0;
    for (const std::string& line : lines_of(printable_lines(passage.text))) {
      const std::string digits = passage.is_file ? std::to_string(++number) : "";
      std::string before = blank.substr(digits.size()) + digits;
      before += passage.is_file ? kBegins : kOurs;
      for (const std::string& piece : pieces_of(line, passage.is_file, room)) {
        out.push_back(before + piece);
        before = blank + std::string(kGoesOn);
      }
    }
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

std::size_t page_room(const Fd& terminal, const std::vector<Passage>& passages) {
  const std::size_t own = digits_of(passages) + kBegins.size();
  return std::max(columns_of(terminal), own + 1) - own;
}

bool page_text(const Fd& terminal, const std::vector<Passage>& passages, std::size_t rows_below,
               const std::string& on_quit) {
  std::size_t columns = 0, page = 0, number = 0;
  std::vector<std::string> rows;
  bool fits = false;
  const auto question = [&](std::size_t at) {
    return "-- more: " + std::to_string(at) + " of " + std::to_string(rows.size()) +
           " lines. Enter: go on; q: " + on_quit + ": ";
  };
  const auto lay_out = [&] {
    const std::size_t told = terminal_size(terminal.get()).rows;
    const std::size_t screen = told == 0 ? kUsualRows : std::max(told, kFewestRows);
    columns = columns_of(terminal);
    rows = rows_of(passages, page_room(terminal, passages));
    const std::size_t question_rows = lines_of(wrap_lines(question(rows.size()), columns)).size();
    fits = rows.size() + rows_below <= screen;
    page = std::max(screen, question_rows + 1) - question_rows;
    number = 0;
  };
  lay_out();
  while (number < rows.size()) {
    if (!fits && number > 0 && number % page == 0) {
      print_to(terminal.get(), question(number));
      std::string answer = read_answer(terminal);
      for (; !answer.empty() && answer != "q" && answer != "Q"; answer = read_answer(terminal))
        print_to(terminal.get(), "Enter or q: ");  // it may be what is asked for later
      if (!answer.empty()) return false;
      if (columns_of(terminal) != columns) {  // rows that are too long would be broken without a mark
        print_to(terminal.get(), "The terminal has another width: once more from the beginning.\n");
        lay_out();
        continue;
      }
    }
    print_to(terminal.get(), rows[number++] + "\n");
  }
  return true;
}

}  // namespace qpcseal::cli
