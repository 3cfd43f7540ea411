// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/partition_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qpcseal::release {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> order(std::string_view text) { return models::order_in_json(text, {"a", "b", "c"}); }

TEST(PartitionOrder, IsThatOfTheOneArrayThatListsAll) {
  EXPECT_THAT(order(R"(["c", "a", "b"])"), ElementsAre("c", "a", "b"));
  EXPECT_THAT(
      order(R"({"v": 1, "x": {"list": [{"qpc": "b", "n": 7}, {"qpc": "c"}, {"n": 9.5, "qpc": "a"}]}})"),
      ElementsAre("b", "c", "a"));
  EXPECT_THAT(order(R"({"others": ["x", "y", "z"], "three": ["b", "a", "c"], "two": ["a", "b"]})"),
              ElementsAre("b", "a", "c"));
}

TEST(PartitionOrder, IsUnknownWhereAnythingIsDoubtful) {
  for (const char* text :
       {"", "not JSON", "[\"a\", \"b\", \"c\"] x", "\"a\"", "{}", R"(["a", "b"])", R"(["a", "b", "b"])",
        R"(["a", "b", "c", "d"])", R"(["a", "b", "C"])", R"([["a"], ["b"], ["c"]])",
        R"({"a": 0, "b": 1, "c": 2})",                          // keys are not values
        R"([{"x": "a", "y": "b"}, {"x": "b"}, {"x": "c"}])",    // which one?
        R"({"one": ["a", "b", "c"], "two": ["c", "b", "a"]})",  // and which of these?
        R"({"one": ["a", "b", "c"], "two": ["a", "b", "c"]})"}) {
    EXPECT_THAT(order(text), IsEmpty()) << text;
  }
}

TEST(PartitionOrder, OfSlicesIsThatOfTheirNumbers) {
  EXPECT_THAT(models::order_of_slices({"m_slice01", "m_slice00", "m_slice02"}),
              ElementsAre("m_slice00", "m_slice01", "m_slice02"));
  EXPECT_THAT(models::order_of_slices({"a_slice1_slice1", "a_slice1_slice0"}),
              ElementsAre("a_slice1_slice0", "a_slice1_slice1"));
  std::vector<std::string> many;
  for (int i = 255; i >= 0; --i)
    many.push_back("m_slice" + std::string(i < 100 ? i < 10 ? "00" : "0" : "") + std::to_string(i));
  std::vector<std::string> right(many.rbegin(), many.rend());
  EXPECT_EQ(models::order_of_slices(many), right);
  for (const std::vector<std::string>& names :
       std::vector<std::vector<std::string>>{{"m_slice00", "m_slice02"},      // a gap
                                             {"m_slice01", "m_slice02"},      // not from 0
                                             {"m_slice00", "n_slice01"},      // two models
                                             {"m_slice0", "m_slice01"},       // other digits
                                             {"m_slice00", "m_slice01.qpc"},  // something behind
                                             {"m_slice0a", "m_slice0b"},      // no digits
                                             {"m_slice", "m_slice1"},
                                             {"m_slice+0", "m_slice+1"},
                                             {"_slice00", "_slice01"},
                                             {"slice00", "slice01"},
                                             {"m00", "m01"},
                                             {"m_slice00", "m_slice00"}})
    EXPECT_THAT(models::order_of_slices(names), IsEmpty()) << names[0] << " " << names[1];
}

TEST(PartitionOrder, SurvivesDeepNesting) {
  EXPECT_THAT(order(std::string(100000, '[') + std::string(100000, ']')), IsEmpty());
  std::string deep = R"(["a", "b", "c"])";
  for (int i = 0; i < 40; ++i) deep = "[" + deep + "]";
  EXPECT_THAT(order(deep), IsEmpty());
}

}  // namespace
}  // namespace qpcseal::release
