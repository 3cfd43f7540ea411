// SPDX-License-Identifier: Apache-2.0
// Tables for people: aligned columns, two blanks apart. Where a row does not fit on the terminal, the table
// takes the first of these forms that does:
//   - cells broken between words, each within its column; the first column, by which a row is found, stays
//   whole
//   - the last cell below its row, where it does not fit beside
//   - a block for each row, of a line "HEAD  cell" for each cell that is not empty, and blank lines between
// Only a cell that a line cannot hold is broken within a word.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace qpcseal {

using Cells = std::vector<std::string>;

// Whether the first row names the columns. Only such a table can be shown as blocks.
enum class Head { Yes, No };

// A row at a time: first all rows to widen(), the head first; then all of them to line(), in the same order.
class TableLayout {
 public:
  // `columns`: the terminal's; 0: what is no terminal, and no row is broken.
  TableLayout(Head head, std::size_t columns) : has_head_(head == Head::Yes), columns_(columns) {}

  void widen(const Cells& row);
  // A row with its line feed, or several lines.
  [[nodiscard]] std::string line(const Cells& row);

 private:
  enum class Form { Undecided, Aligned, Broken, LastBelow, Blocks };

  void decide();
  [[nodiscard]] bool fit_by_words();
  [[nodiscard]] std::string last_below(const Cells& row) const;
  [[nodiscard]] std::string block(const Cells& row);

  bool has_head_;
  std::size_t columns_;
  Cells head_;
  std::vector<std::size_t> widths_;                 // as letters are counted, a column each
  std::vector<std::size_t> rooms_, longest_words_;  // of a terminal, with two columns beyond ASCII
  Form form_ = Form::Undecided;
  std::size_t shown_ = 0;  // rows
};

// The whole table, as wide as `columns`; 0: no row is broken.
std::string table(const std::vector<Cells>& rows, Head head, std::size_t columns);
// For the terminal on standard output, where it is one.
std::string table(const std::vector<Cells>& rows, Head head = Head::Yes);

}  // namespace qpcseal
