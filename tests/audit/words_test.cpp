// SPDX-License-Identifier: Apache-2.0
#include "encoding/pgp_words.h"

#include <gtest/gtest.h>

#include <sstream>

namespace qpcseal::audit {
namespace {

// The example that is published with the list.
TEST(Words, KnownAnswer) {
  EXPECT_EQ(
      encoding::to_words(from_hex("e58294f2e9a227486e8b061b31cc528fd7fa3f19")),
      "topmost Istanbul Pluto vagabond treadmill Pacific brackish dictator goldfish Medusa afflict bravado "
      "chatter revolver Dupont midsummer stopwatch whimsical cowbell bottomless");
  EXPECT_EQ(encoding::to_words({}), "");
}

// The lines of word_lines(), their ends cut off.
std::vector<std::string> lines(std::size_t bytes, std::string_view indent, std::size_t columns) {
  std::vector<std::string> out;
  std::istringstream all(encoding::word_lines(Bytes(bytes, 0xF2), indent, columns));
  for (std::string line; std::getline(all, line);) out.push_back(line);
  return out;
}

TEST(Words, StandInColumns) {
  EXPECT_EQ(lines(32, "  ", 80).size(), 8U);
  EXPECT_EQ(lines(32, "  ", 80).front(), "  uproot     vagabond     uproot     vagabond");
  EXPECT_EQ(lines(32, "", 40).size(), 16U);
  EXPECT_EQ(lines(32, "", 120).size(), 4U);
  EXPECT_EQ(lines(32, "", 1).size(), 16U);
  EXPECT_EQ(lines(3, "", 80).front(), "uproot     vagabond     uproot");
}

// The longest words of both lists leave room for the next column, and end within the width.
TEST(Words, NoColumnRunsIntoTheNext) {
  for (unsigned value = 0; value < 256; ++value) {
    const std::string text = encoding::word_lines(Bytes(32, static_cast<std::uint8_t>(value)), "  ", 80);
    std::istringstream all(text);
    for (std::string line; std::getline(all, line);) {
      EXPECT_LE(line.size(), 80U);
      EXPECT_EQ(line[2 + 9], ' ') << line;
      EXPECT_EQ(line[2 + 9 + 2 + 11], ' ') << line;
      EXPECT_NE(line[2 + 24], ' ') << line;
    }
  }
}

}  // namespace
}  // namespace qpcseal::audit
