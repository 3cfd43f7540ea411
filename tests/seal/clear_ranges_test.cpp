// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/clear_ranges.h"

#include <gtest/gtest.h>

#include "tests/base/expect_error.h"

namespace qpcseal::seal {
namespace {

TEST(ClearRanges, LeaveAByteToSeal) {
  EXPECT_FALSE(are_well_formed({}, 0));
  EXPECT_TRUE(are_well_formed({}, 1));
  EXPECT_FALSE(are_well_formed({{0, 1}}, 1));
  EXPECT_TRUE(are_well_formed({{0, 1}}, 2));
  EXPECT_TRUE(are_well_formed({{0, UINT64_MAX - 1}}, UINT64_MAX));
  EXPECT_FALSE(are_well_formed({{0, UINT64_MAX}}, UINT64_MAX));
}

TEST(ClearRanges, MadeOneKeepWhatLiesInALargerOne) {
  EXPECT_EQ(merged({{0, 100}, {10, 5}, {50, 50}}), (ClearRanges{{0, 100}}));
  EXPECT_EQ(merged({{10, 5}, {10, 20}, {0, 9}}), (ClearRanges{{0, 9}, {10, 20}})) << "a byte between them";
}

// What a window holds does not depend on how the segment is cut into windows.
TEST(ClearRanges, GatherWindowByWindowWhatTheyGatherOfTheWhole) {
  Bytes whole(60);
  for (std::size_t i = 0; i < whole.size(); ++i) whole[i] = static_cast<std::uint8_t>(i);
  const ClearRanges clear{{0, 3}, {5, 20}, {26, 1}, {58, 2}};
  const Bytes all = gather_sealed(clear, 0, whole);
  for (std::size_t step = 1; step <= whole.size(); ++step) {
    Bytes in_parts, scattered(whole.size());
    std::uint64_t counted = 0;
    for (std::size_t at = 0; at < whole.size(); at += step) {
      const ByteView window = ByteView(whole).subspan(at, std::min(step, whole.size() - at));
      const Bytes part = gather_sealed(clear, at, window);
      EXPECT_EQ(sealed_bytes(clear, {at, window.size()}), part.size()) << step << " at " << at;
      counted += part.size();
      append(in_parts, part);
      scatter_sealed(clear, at, part, MutableBytes(scattered).subspan(at, window.size()));
    }
    EXPECT_EQ(in_parts, all) << step;
    EXPECT_EQ(counted, all.size()) << step;
    EXPECT_EQ(gather_sealed(clear, 0, scattered), all) << step;
  }
}

TEST(ClearRanges, ScatterSaysWhichWayTheSizeDiffers) {
  Bytes window(4);
  EXPECT_ERROR(Internal, "fewer sealed bytes", scatter_sealed({{1, 1}}, 0, Bytes(2), window));
  EXPECT_ERROR(Internal, "more sealed bytes", scatter_sealed({{1, 1}}, 0, Bytes(4), window));
  EXPECT_ERROR(Internal, "more sealed bytes", scatter_sealed({{0, 4}}, 0, Bytes(1), window))
      << "nothing of it is sealed";
  scatter_sealed({{0, 4}}, 0, {}, window);
  EXPECT_EQ(window, Bytes(4));
}

}  // namespace
}  // namespace qpcseal::seal
