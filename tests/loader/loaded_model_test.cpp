// SPDX-License-Identifier: Apache-2.0
// Models of several partitions as a card reads them: all of them, each once, and of no other model.
#include "device/loader/loaded_container.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "tests/base/expect_error.h"
#include "tests/loader/hand_made.h"

namespace qpcseal::device {
namespace {

using testing::HandRow;
using testing::HandSealed;
using testing::kHandPage;
using testing::Parts;
using testing::pattern;
using testing::put_together;
using testing::slot_of;
using testing::two_segments;

// FORMAT.md section 2.4.
class LoadedModels : public testing::HandMade {
 protected:
  static HandSealed partition(std::uint64_t index, std::uint64_t count = 2) {
    HandSealed out = two_segments();
    out.seal_id = Bytes(16, static_cast<std::uint8_t>(0x50 + index));
    out.root = Bytes(16, 1);
    out.index = index;
    out.count = count;
    return out;
  }
  static HandRow row(const std::string& name, const HandSealed& inner) {
    return {name, put_together(inner.parts()), 2, {}, copy(sha256(inner.manifest()))};
  }
  static HandSealed root_of(const HandSealed& left, const HandSealed& right) {
    return {{row("left", left), {"meta", pattern(30, 3), 0}, row("right", right)}};
  }
};

TEST_F(LoadedModels, StandAlone) {
  const SealedModel got = model(two_segments());
  EXPECT_EQ(got.root.segments.size(), 2U);
  EXPECT_TRUE(got.partitions.empty());
}

TEST_F(LoadedModels, HaveTheirPartitionsByIndex) {
  const SealedModel got = model(root_of(partition(1), partition(0)));
  ASSERT_EQ(got.partitions.size(), 2U);
  EXPECT_EQ(got.partitions[0].segment, "right");
  EXPECT_EQ(got.partitions[1].segment, "left");
  EXPECT_EQ(got.partitions[1].begin, got.root.segments[0].position);
  EXPECT_EQ(got.partitions[1].segments[0].position, got.partitions[1].begin + 2 * kHandPage)
      << "positions are the file's";
}

TEST_F(LoadedModels, AreNoPartitionsTakenOutOfOne) {
  const char* taken = "it is one partition of a model, taken out of it";
  EXPECT_ERROR(Denied, taken, model(partition(0)));
  HandSealed alone = two_segments();
  alone.index = 1;
  EXPECT_ERROR(Denied, taken, model(alone));
  alone.index = 0;
  alone.count = 2;
  EXPECT_ERROR(Denied, taken, model(alone));
  alone.count = 1;
  alone.root = Bytes(16, 7);
  EXPECT_ERROR(Denied, taken, model(alone));
}

TEST_F(LoadedModels, HaveEachPartitionOnceAndNoOther) {
  const auto with = [&](const HandSealed& left, const HandSealed& right) {
    return model(root_of(left, right));
  };
  EXPECT_ERROR(Denied, "partition 'right': container refused: its number is another's",
               with(partition(0), partition(0)));
  EXPECT_ERROR(Denied, "partition 'right': container refused: its number is another's",
               with(partition(0), partition(2)));
  EXPECT_ERROR(Denied, "partition 'left': container refused: the model has another number of partitions",
               with(partition(0, 3), partition(1, 3)));
  HandSealed stranger = partition(1);
  stranger.root = Bytes(16, 7);
  EXPECT_ERROR(Denied, "partition 'right': container refused: it is a part of another model",
               with(partition(0), stranger));
  stranger = partition(1);
  stranger.mek_id = Bytes(16, 7);
  EXPECT_ERROR(Denied, "it is a part of another model", with(partition(0), stranger));
}

TEST_F(LoadedModels, HaveThePartitionsThatWereSealed) {
  HandSealed root = root_of(partition(0), partition(1));
  std::swap(root.rows[0].digest, root.rows[2].digest);
  EXPECT_ERROR(Denied, "partition 'left': container refused: it is not the partition that was sealed",
               model(root));
  root = root_of(partition(0), partition(1));
  root.rows[0].data = pattern(root.rows[0].data.size(), 5);
  EXPECT_ERROR(Malformed, "partition 'left'", model(root)) << "no container at all";
}

TEST_F(LoadedModels, HaveNoPartitionsInPartitions) {
  HandSealed outer = partition(1);
  outer.rows.push_back(row("deeper", partition(0, 1)));
  EXPECT_ERROR(Denied, "partition 'right': container refused: a partition that holds containers itself",
               model(root_of(partition(0), outer)));
}

TEST_F(LoadedModels, HaveNoKeyInTheRootOfPartitions) {
  Parts parts = root_of(partition(0), partition(1)).parts();
  for (const char* slot : {"MEK.encrypt", "MEK.nonce", "MEK.pub"}) parts.at(slot).data = slot_of(40);
  EXPECT_ERROR(Denied, "its own MEK slots are in use, though it holds partitions",
               read_model(file_of(put_together(parts))));
}

}  // namespace
}  // namespace qpcseal::device
