// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/html.h"

#include <algorithm>

#include "base/text.h"

namespace qpcseal::cli::html {

namespace {

constexpr std::string_view kStyle = R"(
:root { --ink: #1c2430; --soft: #5b6675; --line: #d8dde4; --back: #f5f7f9; --good: #1f7a5c; --bad: #b8421a; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.5rem 4rem; color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, "Liberation Sans", Arial, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .7rem; padding-bottom: .25rem; border-bottom: 2px solid var(--ink); }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
p { margin: .4rem 0; }
.soft { color: var(--soft); }
code { font: .84em/1.45 "Liberation Mono", "DejaVu Sans Mono", Consolas, monospace; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font-size: .87rem; }
th { text-align: left; font-weight: 600; color: var(--soft); white-space: nowrap; border-bottom: 1px solid var(--soft); }
td, th { padding: .32rem .7rem .32rem 0; vertical-align: top; }
td { border-bottom: 1px solid var(--line); }
td.num, th.num { text-align: right; }
td.nowrap { white-space: nowrap; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.4rem 0; }
.tile { flex: 1 1 7rem; padding: .6rem .9rem; background: var(--back); border: 1px solid var(--line); border-radius: 6px; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.2; }
.box { padding: .9rem 1.1rem; border: 1px solid var(--line); border-radius: 6px; background: var(--back); }
.words { columns: 4; font-size: .9rem; margin: .6rem 0 0; padding: 0; list-style: none; }
.words b { color: var(--soft); font-weight: 400; display: inline-block; width: 1.9em; }
.good { color: var(--good); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
figure { margin: 0 0 1rem; }
figure svg { width: 100%; height: auto; }
figcaption { font-size: .85rem; color: var(--soft); }
.key::before { content: ""; display: inline-block; width: .7em; height: .7em; margin: 0 .35em 0 1em; background: currentColor; }
summary { cursor: pointer; }
details table { margin: .4rem 0 .4rem 1rem; width: calc(100% - 1rem); }
@media screen and (max-width: 40rem) {
  body { padding: 1rem .8rem 3rem; }
  .rows thead { display: none; }
  .rows, .rows tbody, .rows tr { display: block; }
  .rows tr { padding: .4rem 0; border-bottom: 1px solid var(--soft); }
  .rows td { display: block; border: 0; padding: .1rem 0; overflow-wrap: anywhere; }
  .rows td[data-head]::before { content: attr(data-head) ": "; color: var(--soft); }
  .words { columns: 2; }
  figure { overflow-x: auto; } figure svg { min-width: 34rem; }
}
@page { size: A4; margin: 16mm 14mm 18mm;
  @bottom-right { content: "page " counter(page) " of " counter(pages); font: 8pt sans-serif; } }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  h2, h3 { break-after: avoid; }
  tr, .box, .tiles, figure { break-inside: avoid; }
  details::details-content { content-visibility: visible; display: block; }
  thead { display: table-header-group; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)";

constexpr double kWidth = 880, kHeight = 170, kFloor = 140, kRoof = 14, kLeft = 34;

std::string number(double value) {
  const std::string out = std::to_string(value);
  return out.substr(0, out.find('.') + 2);
}

std::string bar(double x, double width, double bottom, double height, std::string_view colour) {
  return "<rect x=\"" + number(x) + "\" y=\"" + number(bottom - height) + "\" width=\"" + number(width) +
         "\" height=\"" + number(height) + "\" fill=\"" + std::string(colour) + "\"/>";
}

std::string label(double x, double y, std::string_view anchor, std::string_view what) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + std::string(anchor) +
         "\" font-size=\"12\" fill=\"#5b6675\" font-family=\"sans-serif\">" + text(what) + "</text>";
}

}  // namespace

std::string text(std::string_view raw) { return html_text(raw); }

std::string code(std::string_view raw) { return element("code", text(raw)); }

std::string element(std::string_view tag, std::string_view inner, std::string_view attributes) {
  std::string out = "<" + std::string(tag);
  if (!attributes.empty()) out += " " + std::string(attributes);
  return out + ">" + std::string(inner) + "</" + std::string(tag) + ">";
}

std::string table_top(const std::vector<std::string>& head) {
  std::string top;
  for (const std::string& cell : head) top += element("th", cell);
  return "<table class=\"rows\">" + element("thead", element("tr", top)) + "\n<tbody>";
}

std::string table_row(const std::vector<std::string>& head, const std::vector<std::string>& cells) {
  std::string out;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const bool named = i < head.size() && !head[i].empty();
    out += element("td", cells[i], named ? "data-head=\"" + head[i] + "\"" : "");
  }
  return element("tr", out) + "\n";
}

std::string folded_row(std::size_t columns, std::string_view summary, std::string_view inner) {
  return element("tr", element("td", element("details", element("summary", summary) + std::string(inner)),
                               "class=\"fold\" colspan=\"" + std::to_string(columns) + "\"")) +
         "\n";
}

std::string table_end() { return "</tbody></table>\n"; }

std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows,
                  std::string_view none) {
  if (rows.empty()) return element("p", none, "class=\"soft\"") + "\n";
  std::string out = table_top(head);
  for (const auto& row : rows) out += table_row(head, row);
  return out + table_end();
}

std::string columns(const std::vector<Column>& columns) {
  std::size_t most = 1;
  for (const Column& column : columns) most = std::max(most, column.good + column.bad);
  const double step = (kWidth - kLeft) / static_cast<double>(std::max<std::size_t>(columns.size(), 1));
  const double wide = std::min(step * 0.8, 40.0), unit = (kFloor - kRoof) / static_cast<double>(most);
  std::string out = "<svg viewBox=\"0 0 " + number(kWidth) + " " + number(kHeight) + "\" role=\"img\">";
  out += label(kLeft - 8, kRoof + 8, "end", std::to_string(most)) + label(kLeft - 8, kFloor, "end", "0");
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const Column& column = columns[i];
    const double x = kLeft + (step * (static_cast<double>(i) + 0.5)) - (wide / 2);
    const double good = unit * static_cast<double>(column.good), bad = unit * static_cast<double>(column.bad);
    const std::string title = column.label + ": " + std::to_string(column.good) + " released, " +
                              std::to_string(column.bad) + " denied or failed";
    out += element("g", element("title", text(title)) + bar(x, wide, kFloor, good, "#1f7a5c") +
                            bar(x, wide, kFloor - good, bad, "#b8421a"));
    const std::size_t every = std::max<std::size_t>(1, columns.size() / 6);
    if (i % every == 0) out += label(x + (wide / 2), kFloor + 18, "middle", column.label);
  }
  out += "<line x1=\"" + number(kLeft) + "\" y1=\"" + number(kFloor) + "\" x2=\"" + number(kWidth) +
         "\" y2=\"" + number(kFloor) + "\" stroke=\"#5b6675\"/></svg>";
  return out;
}

std::string page_top(std::string_view title, std::string_view style) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
         "'unsafe-inline'\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n" +
         element("title", text(title)) + "\n" + element("style", std::string(kStyle) + std::string(style)) +
         "\n</head>\n<body>\n";
}

std::string page_end() { return "</body>\n</html>\n"; }

std::string page(std::string_view title, std::string_view body) {
  return page_top(title) + std::string(body) + page_end();
}

}  // namespace qpcseal::cli::html
