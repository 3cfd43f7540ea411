// SPDX-License-Identifier: Apache-2.0
// A table of TOML as it must be: what is missing, left over, of another type or out of bounds is refused,
// with its line.
#include "encoding/toml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/base/expect_error.h"

namespace qpcseal::encoding {
namespace {

using qpcseal::testing::throws_error;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Act = std::function<void(TomlReader&)>;

// What `act` makes of a table that stands from line 2 on.
void read_table(const std::string& text, const Act& act) {
  const toml::table table = parse_toml("# the first line\n" + text, "file.toml");
  TomlReader reader(table, "it", "file.toml");
  act(reader);
}

::testing::AssertionResult refuses(const std::string& text, const std::string& why, const Act& act) {
  return throws_error(ErrorKind::Malformed, why, [&] { read_table(text, act); });
}

std::string hint_of(const std::string& text, const Act& act) {
  try {
    read_table(text, act);
  } catch (const Error& error) {
    return error.hint();
  }
  return "nothing was refused";
}

TEST(Toml, NamesFileAndLineOfWhatIsNone) {
  EXPECT_ERROR(Malformed, "a.toml:3: ", parse_toml("a = 1\nb = 2\nc = \n", "a.toml"));
  EXPECT_ERROR(Malformed, "a.toml:2: ", parse_toml("a = 1\na = 2\n", "a.toml")) << "a key twice";
  EXPECT_ERROR(Malformed, "a.toml:1: ", parse_toml("a = \"\xff\"\n", "a.toml")) << "no UTF-8";
  EXPECT_ERROR(Malformed, "a.toml: this is UTF-16 text", parse_toml(std::string("a\0=\0", 4), "a.toml"));
}

TEST(Toml, AMissingKeyIsOfTheTablesLine) {
  const Act take = [](TomlReader& it) { it.take("number"); };
  EXPECT_TRUE(refuses("[more]\nx = 1\n", "file.toml:2: more: the rule 'number' is missing",
                      [](TomlReader& it) { it.table("more", "more").take("number"); }));
  EXPECT_EQ(hint_of("nunber = 1\n", take), "'nunber' stands there: is it meant to be 'number'?");
  EXPECT_EQ(hint_of("other = 1\n", take), "");
}

TEST(Toml, AKeyThatNobodyTookIsRefused) {
  const std::string text = "a = 1\nnumber = 2\nnumbre = 3\n";
  const Act take_two = [](TomlReader& it) {
    it.take("a");
    it.take("number");
    it.finish();
  };
  EXPECT_TRUE(refuses(text, "file.toml:4: it: unknown key 'numbre'", take_two));
  EXPECT_EQ(hint_of(text, take_two), "did you mean 'number'?");
  read_table(text, [&](TomlReader& it) {
    for (const char* key : {"a", "number", "numbre"}) it.take(key);
    it.finish();
  });
  EXPECT_TRUE(refuses("a = 1\n", "unknown key 'a'", [](TomlReader& it) {
    EXPECT_TRUE(it.has("a"));
    EXPECT_FALSE(it.has("b"));
    it.finish();
  })) << "asking for it is not taking it";
}

TEST(Toml, AFinishedTableSaysNothingOfTheTablesInIt) {
  const std::string text = "[inner]\nx = 1\n";
  read_table(text, [](TomlReader& it) {
    it.table("inner", "inner");
    it.finish();
  });
  EXPECT_TRUE(refuses(text, "file.toml:3: inner: unknown key 'x'",
                      [](TomlReader& it) { it.table("inner", "inner").finish(); }));
}

TEST(Toml, ATextIsNotEmptyAndHidesNothing) {
  const Act text = [](TomlReader& it) { it.text("k"); };
  read_table("k = \"ä b\"\n", [](TomlReader& it) { EXPECT_EQ(it.text("k"), "ä b"); });
  EXPECT_TRUE(refuses("k = 1\n", "file.toml:2: it: 'k' must be a string", text));
  for (const char* value : {"", "a\\nb", "a\\u202eb", "\\u200b", "\\ufeff"})
    EXPECT_TRUE(
        refuses("k = \"" + std::string(value) + "\"\n", "'k' is empty or has control characters", text))
        << value;
}

TEST(Toml, AnIntegerLiesBetweenItsBorders) {
  const auto between = [](std::int64_t low, std::int64_t high) {
    return Act([=](TomlReader& it) { it.integer("k", low, high); });
  };
  for (const char* good : {"-2", "0", "3"}) read_table("k = " + std::string(good) + "\n", between(-2, 3));
  for (const char* bad : {"-3", "4", "9223372036854775807", "-9223372036854775808"})
    EXPECT_TRUE(refuses("k = " + std::string(bad) + "\n", "file.toml:2: it: 'k' must lie between -2 and 3",
                        between(-2, 3)))
        << bad;
  read_table("k = 9223372036854775807\n", between(INT64_MAX, INT64_MAX));
  EXPECT_ERROR(Malformed, "file.toml:1: ", parse_toml("k = 9223372036854775808\n", "file.toml"));
  for (const char* other : {"\"1\"", "1.0", "true", "[1]", "2026-01-01"})
    EXPECT_TRUE(refuses("k = " + std::string(other) + "\n", "'k' must be an integer", between(-2, 3)))
        << other;
}

TEST(Toml, HexIsWholeBytesInAString) {
  const Act hex = [](TomlReader& it) { it.hex("k"); };
  read_table("k = \"00fF\"\n", [](TomlReader& it) { EXPECT_EQ(it.hex("k"), (Bytes{0x00, 0xff})); });
  EXPECT_TRUE(refuses("k = 10\n", "file.toml:2: it: 'k' must be hex in a string", hex));
  EXPECT_TRUE(refuses("k = \"\"\n", "'k' is empty", hex));
  for (const char* bad : {"0", "0g", "0x00", " 00", "00 "})
    EXPECT_TRUE(refuses("k = \"" + std::string(bad) + "\"\n", "file.toml:2: it: 'k': ", hex)) << bad;
}

// Each list: its borders, a value twice, one of another type, none.
TEST(Toml, AListHasEachValueOnce) {
  const Act texts = [](TomlReader& it) { it.texts("k"); }, hexes = [](TomlReader& it) { it.hexes("k"); },
            integers = [](TomlReader& it) { it.integers("k", 1, 3); };
  read_table("k = [\"b\", \"a\"]\nh = [\"02\", \"01\"]\ni = [3, 1]\n", [](TomlReader& it) {
    EXPECT_THAT(it.texts("k"), ElementsAre("b", "a")) << "in their order";
    EXPECT_THAT(it.hexes("h"), ElementsAre(Bytes{2}, Bytes{1}));
    EXPECT_THAT(it.integers("i", 1, 3), ElementsAre(3, 1));
  });
  EXPECT_TRUE(refuses("k = [\"a\",\n\"b\",\n\"a\"]\n", "file.toml:4: it: 'k' has 'a' twice", texts));
  EXPECT_TRUE(refuses("k = [\"0a\", \"0A\"]\n", "'k' has 0a twice", hexes)) << "the same bytes";
  EXPECT_TRUE(refuses("k = [1, 2, 1]\n", "'k' has 1 twice", integers));
  for (const char* bad : {"[\"a\", 1]", "[\"\"]", "[\"a\\u2028\"]"})
    EXPECT_TRUE(refuses("k = " + std::string(bad) + "\n", "'k' must list strings, none empty", texts)) << bad;
  EXPECT_TRUE(refuses("k = [\"01\", 2]\n", "'k' must be hex in a string", hexes));
  EXPECT_TRUE(refuses("k = [\"01\", \"\"]\n", "'k' is empty", hexes));
  for (const char* bad : {"[0]", "[4]", "[\"1\"]", "[1.0]"})
    EXPECT_TRUE(refuses("k = " + std::string(bad) + "\n", "'k' must list integers from 1 to 3", integers))
        << bad;
  for (const Act& act : {texts, hexes, integers}) {
    EXPECT_TRUE(refuses("k = []\n", "file.toml:2: it: 'k' is an empty list", act));
    EXPECT_TRUE(refuses("k = \"a\"\n", "'k' must be a list", act));
  }
}

TEST(Toml, AListIsEmptyWhereThatIsAllowed) {
  read_table("k = []\n", [](TomlReader& it) {
    EXPECT_THAT(it.texts("k", TomlReader::Empty::Allowed), IsEmpty());
    EXPECT_THAT(it.hexes("k", TomlReader::Empty::Allowed), IsEmpty());
  });
  EXPECT_TRUE(refuses("x = 1\n", "the rule 'k' is missing",
                      [](TomlReader& it) { it.texts("k", TomlReader::Empty::Allowed); }));
}

TEST(Toml, TablesAreTablesAndNeverEmpty) {
  const Act tables = [](TomlReader& it) { it.tables("k", "a k"); },
            table = [](TomlReader& it) { it.table("k", "the k"); };
  read_table("[[k]]\nn = 1\n[[k]]\nn = 2\n", [](TomlReader& it) {
    auto two = it.tables("k", "a k");
    ASSERT_EQ(two.size(), 2U);
    EXPECT_EQ(two[1].line(), 4);
    EXPECT_EQ(two[1].line_of_key("n"), 5);
    EXPECT_EQ(two[1].integer("n", 2, 2), 2);
    EXPECT_TRUE(throws_error(ErrorKind::Malformed, "file.toml:2: a k: no", [&] { two[0].refuse(2, "no"); }));
  });
  EXPECT_TRUE(refuses("k = [1]\n", "'k' must be tables, [[...]]", tables));
  EXPECT_TRUE(refuses("k = []\n", "'k' is an empty list", tables));
  EXPECT_TRUE(refuses("[k]\nn = 1\n", "'k' must be a list", tables));
  EXPECT_TRUE(refuses("k = 1\n", "file.toml:2: it: 'k' must be a table", table));
  EXPECT_TRUE(refuses("[[k]]\nn = 1\n", "'k' must be a table", table));
  EXPECT_TRUE(refuses("[k]\n", "'k' is empty", table));
}

}  // namespace
}  // namespace qpcseal::encoding
