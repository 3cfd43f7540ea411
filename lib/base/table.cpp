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
    out = std::max(out, room_of(text.substr(at, end - at)));
    at = end + 1;
  }
  return out;
}

// At least one line, which may be empty.
std::vector<std::string> lines_of(std::string_view cell, std::size_t columns) {
  if (room_of(cell) <= columns) return {std::string(cell)};
  std::vector<std::string> out(1);
  std::size_t used = 0;
  for (std::size_t at = 0; at < cell.size();) {
    const std::size_t word = std::min(cell.find_first_not_of(' ', at), cell.size());
    const std::size_t end = std::min(cell.find(' ', word), cell.size());
    const std::string_view with_blanks = cell.substr(at, end - at);
    at = end;
    const std::size_t room = room_of(with_blanks);
    if (used + room <= columns) {
      out.back() += with_blanks;
      used += room;
      continue;
    }
    const std::vector<std::string> pieces = cut(cell.substr(word, end - word), columns);
    if (out.back().empty()) out.pop_back();
    out.insert(out.end(), pieces.begin(), pieces.end());
    used = room_of(out.back());
  }
  return out;
}

// One line, whatever its length.
std::string aligned(const Cells& row, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < row.size(); ++i) {
    line += row[i];
    if (i + 1 < row.size()) line.append(widths[i] - display_width(row[i]) + kGap, ' ');
  }
  return line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
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
    Cells parts;
    for (const std::vector<std::string>& lines : cells)
      parts.push_back(number < lines.size() ? lines[number] : "");
    out += aligned(parts, widths);
  }
  return out;
}

// Of a whole row.
std::size_t row_room(const std::vector<std::size_t>& rooms) {
  return std::accumulate(rooms.begin(), rooms.end(), kGap * (rooms.size() - 1));
}

}  // namespace

void TableLayout::widen(const Cells& row) {
  if (has_head_ && head_.empty()) head_ = row;
  widths_.resize(std::max(widths_.size(), row.size()));
  rooms_.resize(widths_.size());
  longest_words_.resize(widths_.size());
  for (std::size_t i = 0; i < row.size(); ++i) {
    widths_[i] = std::max(widths_[i], display_width(row[i]));
    if (columns_ == 0) continue;
    rooms_[i] = std::max(rooms_[i], room_of(row[i]));
    longest_words_[i] = std::max(longest_words_[i], longest_word(row[i]));
  }
}

std::string TableLayout::line(const Cells& row) {
  if (form_ == Form::Undecided) decide();
  switch (form_) {
    case Form::Broken:
      return side_by_side(row, rooms_);
    case Form::LastBelow:
      return last_below(row);
    case Form::Blocks:
      return block(row);
    default:
      return aligned(row, widths_);
  }
}

void TableLayout::decide() {
  form_ = Form::Aligned;
  if (columns_ == 0 || row_room(rooms_) <= columns_) return;
  form_ = Form::Broken;
  if (fit_by_words()) return;
  form_ = has_head_ && row_room(rooms_) - rooms_.back() > columns_ ? Form::Blocks : Form::LastBelow;
}

// Takes columns from the widest cell until a row fits; false where words would have to be broken.
bool TableLayout::fit_by_words() {
  std::vector<std::size_t> least = rooms_, room = rooms_;
  for (std::size_t i = 1; i < least.size(); ++i)
    least[i] = std::min(rooms_[i], std::max(longest_words_[i], kProse));
  if (row_room(least) > columns_) return false;
  while (row_room(room) > columns_) {
    std::size_t widest = 0;
    for (std::size_t i = 1; i < room.size(); ++i)
      if (room[i] > least[i] && (room[widest] == least[widest] || room[i] > room[widest])) widest = i;
    --room[widest];
  }
  rooms_ = room;
  return true;
}

std::string TableLayout::last_below(const Cells& row) const {
  const std::size_t but_last = row_room(rooms_) - rooms_.back();
  if (row.size() < rooms_.size() || but_last + room_of(row.back()) <= columns_)
    return side_by_side(row, rooms_);
  std::string out = side_by_side({row.begin(), row.end() - 1}, rooms_);
  for (const std::string& part : lines_of(row.back(), std::max(columns_, kBelow + 1) - kBelow))
    out += std::string(kBelow, ' ') + part + "\n";
  return out;
}

std::string TableLayout::block(const Cells& row) {
  if (shown_++ == 0) return "";  // the head
  std::size_t width = 0;
  for (const std::string& head : head_) width = std::max(width, room_of(head));
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
