// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qpcseal::cli::html {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kMarkup = "<i a=\"b\" c='d'>&\x1b";

std::size_t count_of(const std::string& part, const std::string& in) {
  std::size_t out = 0;
  for (std::size_t at = in.find(part); at != std::string::npos; at = in.find(part, at + 1)) ++out;
  return out;
}

TEST(Html, TextIsNoMarkupInElementsAndAttributes) {
  const std::string shown = text(kMarkup);
  EXPECT_EQ(shown.find_first_of("<>\"'\x1b"), std::string::npos) << shown;
  EXPECT_THAT(shown, StartsWith("&lt;i a=&quot;b&quot;"));
  EXPECT_EQ(code(kMarkup), "<code>" + shown + "</code>");
}

TEST(Html, ElementsKeepWhatIsHtmlAlready) {
  EXPECT_EQ(element("td", "<b>x</b>"), "<td><b>x</b></td>");
  EXPECT_EQ(element("td", "", "class=\"num\""), "<td class=\"num\"></td>");
}

TEST(HtmlTable, HasItsHeadBesideEachCell) {
  EXPECT_EQ(table({"Key", ""}, {{"a", "<b>1</b>"}, {"c", "2", "3"}}, "none"),
            "<table class=\"rows\"><thead><tr><th>Key</th><th></th></tr></thead>\n<tbody>"
            "<tr><td data-head=\"Key\">a</td><td><b>1</b></td></tr>\n"
            "<tr><td data-head=\"Key\">c</td><td>2</td><td>3</td></tr>\n"
            "</tbody></table>\n")
      << "a cell that has no head stands alone";
}

TEST(HtmlTable, WithoutRowsIsTheOneSentence) {
  EXPECT_EQ(table({"Key"}, {}, "no <b>key</b>"), "<p class=\"soft\">no <b>key</b></p>\n");
}

TEST(HtmlTable, InPiecesIsTheSame) {
  const std::vector<std::string> head{"A", "B"};
  EXPECT_EQ(table_top(head) + table_row(head, {"1", "2"}) + table_end(), table(head, {{"1", "2"}}, ""));
  EXPECT_EQ(folded_row(3, "more", "<p>all</p>"),
            "<tr><td class=\"fold\" colspan=\"3\"><details><summary>more</summary><p>all</p></details></td>"
            "</tr>\n");
}

// The tallest column reaches the roof, and each other is as high as its share of it.
TEST(HtmlColumns, AreAsHighAsTheirCounts) {
  const std::string picture = columns({{"a", 3, 1}, {"b", 2, 0}});
  EXPECT_THAT(picture, HasSubstr(">4</text>"));
  EXPECT_THAT(picture, HasSubstr("y=\"45.5\" width=\"40.0\" height=\"94.5\" fill=\"#1f7a5c\""));
  EXPECT_THAT(picture, HasSubstr("y=\"14.0\" width=\"40.0\" height=\"31.5\" fill=\"#b8421a\""))
      << "what was denied stands on what was released";
  EXPECT_THAT(picture, HasSubstr("y=\"77.0\" width=\"40.0\" height=\"63.0\" fill=\"#1f7a5c\""));
  EXPECT_THAT(picture, HasSubstr("<title>a: 3 released, 1 denied or failed</title>"));
}

TEST(HtmlColumns, OfNothingHaveNoHeight) {
  EXPECT_THAT(columns({{"a", 0, 0}}),
              HasSubstr("y=\"140.0\" width=\"40.0\" height=\"0.0\" fill=\"#1f7a5c\""));
  EXPECT_THAT(columns({}), Not(HasSubstr("<rect")));
}

TEST(HtmlColumns, HaveTextsThatAreNoMarkup) {
  const std::string picture = columns({{kMarkup, 1, 0}});
  EXPECT_THAT(picture, Not(HasSubstr("<i")));
  EXPECT_EQ(count_of(text(kMarkup), picture), 2U) << "its title and its label";
}

TEST(HtmlColumns, HaveAFewLabels) {
  for (const auto& [number, labels] : {std::pair{1, 1}, {6, 6}, {11, 11}, {12, 6}, {100, 7}}) {
    const std::string picture = columns(std::vector<Column>(static_cast<std::size_t>(number), {"day", 1, 0}));
    EXPECT_EQ(count_of(">day</text>", picture), static_cast<std::size_t>(labels)) << number;
  }
}

TEST(HtmlPage, LoadsNothingFromAnywhere) {
  const std::string whole = page("<T>", "<p>b</p>");
  EXPECT_THAT(whole, HasSubstr("content=\"default-src 'none'; style-src 'unsafe-inline'\""));
  for (const char* way : {"src=", "href=", "url(", "@import", "<script", "http:", "https:"})
    EXPECT_THAT(whole, Not(HasSubstr(way)));
}

TEST(HtmlPage, HasItsTitleAsTextAndItsBodyAsItIs) {
  const std::string whole = page("<T>", "<p>b</p>");
  EXPECT_THAT(whole, HasSubstr("<title>&lt;T&gt;</title>"));
  EXPECT_TRUE(whole.ends_with("<body>\n<p>b</p></body>\n</html>\n")) << whole;
  EXPECT_EQ(page_top("<T>") + "<p>b</p>" + page_end(), whole);
  EXPECT_THAT(page_top("t", ".more { color: red; }"), HasSubstr("\n.more { color: red; }</style>"));
}

}  // namespace
}  // namespace qpcseal::cli::html
