// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/partition_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/seal/host_key.h"

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

// A model of two partitions, n.qpc before m.qpc, with this segment mdp_meta_info; empty: without it.
class PartitionsOfAModel : public ::testing::Test {
 protected:
  std::vector<std::string> in_order(const std::string& info, models::PartitionOrder by,
                                    const std::string& first = "n.qpc", const std::string& second = "m.qpc") {
    const Bytes inner = testing::contents(testing::make_qpc({{"network.elf", {1}}}));
    std::vector<testing::TestSegment> segments{{first, inner}, {second, inner}};
    if (!info.empty()) segments.push_back({models::kPartitionInfo, copy(view(info))});
    const Fd file = testing::make_qpc(segments);
    std::vector<std::string> out;
    for (const seal::Partition& one : models::read_partitions(file, qpc::Container::read(file), by))
      out.push_back(one.name);
    return out;
  }
};

TEST_F(PartitionsOfAModel, StandInTheOrderThatTheirInfoHas) {
  EXPECT_THAT(in_order(R"(["m.qpc", "n.qpc"])", models::PartitionOrder::Metadata),
              ElementsAre("m.qpc", "n.qpc"));
  EXPECT_THAT(in_order(R"(["m.qpc", "n.qpc"])", models::PartitionOrder::Container),
              ElementsAre("n.qpc", "m.qpc"));
}

TEST_F(PartitionsOfAModel, HaveNoOrderWithoutInfoThatGivesOne) {
  const auto by_info = models::PartitionOrder::Metadata;
  EXPECT_ERROR(Malformed, "mdp_meta_info is not there", in_order("", by_info));
  EXPECT_ERROR(Malformed, "mdp_meta_info is not JSON with one array that lists the partitions",
               in_order(R"(["m.qpc"])", by_info));
}

TEST_F(PartitionsOfAModel, HaveInfoOfAMebibyteAtMost) {
  std::string info = R"(["m.qpc", "n.qpc"])";
  info.resize(std::size_t{1} << 20, ' ');
  EXPECT_THAT(in_order(info, models::PartitionOrder::Metadata), ElementsAre("m.qpc", "n.qpc"));
  EXPECT_ERROR(Malformed, "mdp_meta_info is larger than 1 MiB",
               in_order(info + " ", models::PartitionOrder::Metadata));
}

TEST_F(PartitionsOfAModel, AreCountedByNamesThatCount) {
  const auto by_names = models::PartitionOrder::Slices;
  EXPECT_THAT(in_order("", by_names, "m_slice01", "m_slice00"), ElementsAre("m_slice00", "m_slice01"));
  EXPECT_ERROR(Malformed, "are not X_slice00, X_slice01, ... with one X", in_order("", by_names));
}

}  // namespace
}  // namespace qpcseal::release
