// SPDX-License-Identifier: Apache-2.0
// Tables on terminals of several widths, and where there is none.
#include "base/table.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/terminal.h"
#include "base/text.h"

namespace qpcseal {
namespace {

const std::vector<Cells> kKeys{
    {"LABEL", "ID", "STATE"},
    {"a#1", "0123456789abcdef", "ok"},
    {"another-key#2", "fedcba9876543210", "MISSING from the token (ok in the log)"}};

void expect_within(const std::string& text, std::size_t columns) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(display_width(line), columns) << text;
}

TEST(Table, IsNotBrokenWhereThereIsNoTerminal) {
  const std::string digest(64, 'd');
  EXPECT_EQ(table({{"FILE", "SHA-256"}, {"a  b", digest}}, Head::Yes, 0),
            "FILE  SHA-256\na  b  " + digest + "\n");
}

TEST(Table, IsAlignedWhereItFits) {
  EXPECT_EQ(table(kKeys, Head::Yes, 71), table(kKeys, Head::Yes, 0));
  EXPECT_NE(table(kKeys, Head::Yes, 70), table(kKeys, Head::Yes, 0));
}

TEST(Table, BreaksCellsBetweenWordsWithinTheirColumn) {
  EXPECT_EQ(table(kKeys, Head::Yes, 55),
            "LABEL          ID                STATE\n"
            "a#1            0123456789abcdef  ok\n"
            "another-key#2  fedcba9876543210  MISSING from the token\n"
            "                                 (ok in the log)\n");
}

TEST(Table, PutsTheLastCellBelowWhereItsColumnIsTooNarrow) {
  EXPECT_EQ(table(kKeys, Head::Yes, 40),
            "LABEL          ID                STATE\n"
            "a#1            0123456789abcdef  ok\n"
            "another-key#2  fedcba9876543210\n"
            "    MISSING from the token (ok in the\n"
            "    log)\n");
}

TEST(Table, IsBlocksWhereTheColumnsDoNotFit) {
  EXPECT_EQ(table(kKeys, Head::Yes, 30),
            "LABEL  a#1\n"
            "ID     0123456789abcdef\n"
            "STATE  ok\n"
            "\n"
            "LABEL  another-key#2\n"
            "ID     fedcba9876543210\n"
            "STATE  MISSING from the token\n"
            "       (ok in the log)\n");
}

TEST(Table, LeavesEmptyCellsOutOfABlock) {
  EXPECT_EQ(table({{"NAME", "A", "B"}, {"long-name-of-a-key", "", "x"}}, Head::Yes, 20),
            "NAME  long-name-of-a\n      -key\nB     x\n");
}

TEST(Table, WithoutAHeadIsNeverBlocks) {
  const std::string digest(64, 'd');
  EXPECT_EQ(table({{"SHA-256", digest}, {"size", "12"}}, Head::No, 70),
            "SHA-256\n    " + digest + "\nsize     12\n");
  EXPECT_EQ(table({{"SHA-256", digest}}, Head::No, 44),
            "SHA-256\n    " + digest.substr(24) + "\n    " + digest.substr(40) + "\n");
}

TEST(Table, KeepsItsLinesWithinEachWidth) {
  const std::vector<Cells> rows{{"LABEL", "ID", "CREATED", "STATE"},
                                {"a-key-with-a-very-long-name-that-people-chose#12", std::string(32, 'e'),
                                 "2026-11-28T10:00:00Z", "suspended by officers, until they resume it"}};
  for (std::size_t columns = 24; columns < 160; ++columns) {
    const std::string shown = table(rows, Head::Yes, columns);
    expect_within(shown, columns);
    EXPECT_EQ(wrap_lines(shown, columns), shown);
  }
}

TEST(Table, LeavesRoomForLettersOfTwoColumns) {
  const std::string wide = "\u6a21\u578b\u6a21\u578b\u6a21\u578b\u6a21\u578b";  // 8 letters, 16 columns
  const std::vector<Cells> rows{{"MODEL", "SAYS"}, {wide, "ok"}};
  EXPECT_EQ(table(rows, Head::Yes, 22), table(rows, Head::Yes, 0));
  EXPECT_EQ(table(rows, Head::No, 21), "MODEL\n    SAYS\n" + wide + std::string(10, ' ') + "ok\n");
}

TEST(TableLayout, GivesTheRowsOfTheWholeTable) {
  for (const std::size_t columns : {30U, 40U, 55U, 0U}) {
    TableLayout layout(Head::Yes, columns);
    for (const Cells& row : kKeys) layout.widen(row);
    std::string out;
    for (const Cells& row : kKeys) out += layout.line(row);
    EXPECT_EQ(out, table(kKeys, Head::Yes, columns));
  }
}

}  // namespace
}  // namespace qpcseal
