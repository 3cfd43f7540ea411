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

TEST(PartitionOrder, SurvivesDeepNesting) {
  EXPECT_THAT(order(std::string(100000, '[') + std::string(100000, ']')), IsEmpty());
  std::string deep = R"(["a", "b", "c"])";
  for (int i = 0; i < 40; ++i) deep = "[" + deep + "]";
  EXPECT_THAT(order(deep), IsEmpty());
}

}  // namespace
}  // namespace qpcseal::release
