// SPDX-License-Identifier: Apache-2.0
// Pieces of an HTML page. Text from outside becomes part of a page through text() and nothing else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qpcseal::cli::html {

// As html_text() (base/text.h): what could be read as markup is escaped, in attributes too.
std::string text(std::string_view raw);
std::string code(std::string_view raw);  // text() in <code>
// `inner` is HTML already; `attributes` too.
std::string element(std::string_view tag, std::string_view inner, std::string_view attributes = {});
// Cells are HTML already. Nothing but `none` where there are no rows.
std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows,
                  std::string_view none);

// A table with rows, in pieces: top, rows, end. On a narrow screen each row stands as a block, and each cell
// with its head beside it. `head` is ours: it becomes an attribute too.
std::string table_top(const std::vector<std::string>& head);
std::string table_row(const std::vector<std::string>& head, const std::vector<std::string>& cells);
std::string table_end();
// A row as wide as the table that opens and shows `inner`; on paper it is the one line `summary`, HTML.
std::string folded_row(std::size_t columns, std::string_view summary, std::string_view inner);

// Counts over time, as stacked columns in one picture (SVG).
struct Column {
  std::string label;  // of the time it stands for, text
  std::size_t good = 0, bad = 0;
};
std::string columns(const std::vector<Column>& columns);

// The whole page, for screen and A4 paper, that loads nothing from anywhere.
std::string page(std::string_view title, std::string_view body);
// The same in pieces: top, body, end.
// `style`: further rules, nothing from outside.
std::string page_top(std::string_view title, std::string_view style = {});
std::string page_end();

}  // namespace qpcseal::cli::html
