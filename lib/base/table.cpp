// SPDX-License-Identifier: Apache-2.0
#include "base/table.h"

#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "base/terminal.h"
#include "base/text.h"

namespace qpcseal {

namespace {

constexpr std::size_t kGap = 2;     // columns between two cells
constexpr std::size_t kProse = 16;  // a cell of several words is not made narrower
constexpr std::size_t kBelow = 4;   // how far a cell below its row is indented

std::size_t longest_word(std::string_view text) {
  std::size_t out = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    out = std::max(out, display_width(text.substr(at, end - at)));
    at = end + 1;
  }
  return out;
}

// At least one line, which may be empty.
std::vector<std::string> lines_of(std::string_view cell, std::size_t columns) {
  std::vector<std::string> out(1);
  for (std::size_t at = 0; at < cell.size();) {
    const std::size_t word = std::min(cell.find_first_not_of(' ', at), cell.size());
    const std::size_t end = std::min(cell.find(' ', word), cell.size());
    const std::string_view with_blanks = cell.substr(at, end - at);
    at = end;
    if (display_width(out.back()) + display_width(with_blanks) <= columns) {
      out.back() += with_blanks;
      continue;
    }
    const std::vector<std::string> pieces = cut(cell.substr(word, end - word), columns);
    if (out.back().empty()) out.pop_back();
    out.insert(out.end(), pieces.begin(), pieces.end());
  }
  return out;
}

// Cells side by side, each of several lines where it has more than one.
std::string side_by_side(const Cells& row, const std::vector<std::size_t>& widths) {
  std::vector<std::vector<std::string>> cells;
  std::size_t height = 1;
  for (std::size_t i = 0; i < row.size(); ++i) {
    cells.push_back(lines_of(row[i], widths[i]));
    height = std::max(height, cells.back().size());
  }
  std::string out;
  for (std::size_t number = 0; number < height; ++number) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string part = number < cells[i].size() ? cells[i][number] : "";
      line += part;
      if (i + 1 < cells.size()) line.append(widths[i] - display_width(part) + kGap, ' ');
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

std::size_t sum(const std::vector<std::size_t>& widths) {
  return std::accumulate(widths.begin(), widths.end(), std::size_t{0});
}

}  // namespace

void TableLayout::widen(const Cells& row) {
  if (has_head_ && head_.empty()) head_ = row;
  widths_.resize(std::max(widths_.size(), row.size()));
  longest_words_.resize(widths_.size());
  for (std::size_t i = 0; i < row.size(); ++i) {
    widths_[i] = std::max(widths_[i], display_width(row[i]));
    longest_words_[i] = std::max(longest_words_[i], longest_word(row[i]));
  }
}

std::string TableLayout::line(const Cells& row) {
  if (form_ == Form::Undecided) decide();
  if (form_ == Form::Blocks) return block(row);
  return form_ == Form::LastBelow ? last_below(row) : side_by_side(row, widths_);
}

void TableLayout::decide() {
  form_ = Form::Aligned;
  if (columns_ == 0 || fit_by_words()) return;
  const std::size_t but_last = sum(widths_) - widths_.back() + (kGap * (widths_.size() - 1));
  form_ = has_head_ && but_last > columns_ ? Form::Blocks : Form::LastBelow;
}

// Takes columns from the widest cell until a row fits; false where words would have to be broken.
bool TableLayout::fit_by_words() {
  const std::size_t gaps = kGap * (widths_.size() - 1);
  std::vector<std::size_t> least = widths_, width = widths_;
  for (std::size_t i = 1; i < least.size(); ++i)
    least[i] = std::min(widths_[i], std::max(longest_words_[i], kProse));
  if (sum(least) + gaps > columns_) return false;
  while (sum(width) + gaps > columns_) {
    std::size_t widest = 0;
    for (std::size_t i = 1; i < width.size(); ++i)
      if (width[i] > least[i] && (width[widest] == least[widest] || width[i] > width[widest])) widest = i;
    --width[widest];
  }
  widths_ = width;
  return true;
}

std::string TableLayout::last_below(const Cells& row) const {
  std::vector<std::size_t> widths = widths_;
  widths.back() = columns_;
  std::string beside = side_by_side(row, widths);
  if (row.size() < widths_.size() || display_width(beside) - 1 <= columns_) return beside;
  std::string out = side_by_side({row.begin(), row.end() - 1}, widths_);
  for (const std::string& part : lines_of(row.back(), std::max(columns_, kBelow + 1) - kBelow))
    out += std::string(kBelow, ' ') + part + "\n";
  return out;
}

std::string TableLayout::block(const Cells& row) {
  if (shown_++ == 0) return "";  // the head
  std::size_t width = 0;
  for (const std::string& head : head_) width = std::max(width, display_width(head));
  const std::size_t room = std::max(columns_, width + kGap + 1) - width - kGap;
  std::string out = shown_ > 2 ? "\n" : "";
  for (std::size_t i = 0; i < row.size(); ++i)
    if (!row[i].empty()) out += side_by_side({head_[i], row[i]}, {width, room});
  return out;
}

std::string table(const std::vector<Cells>& rows, Head head, std::size_t columns) {
  TableLayout layout(head, columns);
  for (const Cells& row : rows) layout.widen(row);
  std::string out;
  for (const Cells& row : rows) out += layout.line(row);
  return out;
}

std::string table(const std::vector<Cells>& rows, Head head) {
  return table(rows, head, terminal_size(STDOUT_FILENO).columns);
}

}  // namespace qpcseal
