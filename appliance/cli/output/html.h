// SPDX-License-Identifier: Apache-2.0
// Pieces of an HTML page. Text from outside becomes part of a page through text() and nothing else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qpcseal::cli::html {

// Printable ASCII with what HTML could read as markup escaped, in attributes too; other bytes as \xNN.
std::string text(std::string_view raw);
std::string code(std::string_view raw);  // text() in <code>
// `inner` is HTML already; `attributes` too.
std::string element(std::string_view tag, std::string_view inner, std::string_view attributes = {});
// Cells are HTML already. Nothing but `none` where there are no rows.
std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows,
                  std::string_view none);

// A table with rows, in pieces: top, rows, end.
std::string table_top(const std::vector<std::string>& head);
std::string table_row(const std::vector<std::string>& cells);
std::string table_end();

// Counts over time, as stacked columns in one picture (SVG).
struct Column {
  std::string label;  // of the time it stands for, text
  std::size_t good = 0, bad = 0;
};
std::string columns(const std::vector<Column>& columns);

// The whole page, for screen and A4 paper, that loads nothing from anywhere.
std::string page(std::string_view title, std::string_view body);
// The same in pieces: top, body, end.
std::string page_top(std::string_view title);
std::string page_end();

}  // namespace qpcseal::cli::html
