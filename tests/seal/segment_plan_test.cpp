// SPDX-License-Identifier: Apache-2.0
// What will be done with each segment, and what of it is counted, before anything is done.
#include "appliance/seal/segment_plan.h"

#include <gtest/gtest.h>

#include "appliance/seal/sealer.h"
#include "tests/base/expect_error.h"
#include "tests/seal/host_key.h"

namespace qpcseal::seal {
namespace {

using qpcseal::testing::make_qpc;

constexpr std::uint64_t kPlanChunk = std::uint64_t{1} << kMinChunkLog2;

qpc::Container plain_container() {
  return qpc::Container::read(make_qpc(
      {{"network.elf", Bytes((2 * kPlanChunk) + 1, 1)}, {"constants.bin", Bytes(10, 2), 7}, {"empty", {}}}));
}

SealOptions sealing(std::vector<std::string> names) {
  SealOptions out;
  out.segments = std::move(names);
  out.chunk_log2 = kMinChunkLog2;
  out.model_name = "net";
  return out;
}

TEST(SegmentPlan, OfASealedSegmentHasItsClearRanges) {
  const qpc::Container container = plain_container();
  SealOptions options = sealing({"network.elf"});
  options.mode = Mode::Envelope;
  options.clear = {{"network.elf", {{0, kPlanChunk}}}, {"constants.bin", {{0, 1}}}};
  const Part sealed = part_for(container.segments()[0], options);
  EXPECT_EQ(sealed.kind(), SegmentKind::Sealed);
  EXPECT_EQ(sealed.header.mode, Mode::Envelope);
  EXPECT_EQ(sealed.header.clear, (ClearRanges{{0, kPlanChunk}}));
  EXPECT_EQ(sealed.size(), (2 * kPlanChunk) + 1);
  EXPECT_EQ(sealed.tasks(), 3U);
  EXPECT_EQ(sealed.aead_size(), kHeaderSize + kWrappedDataKeySize + kRangeSize + (2 * kEntrySize));
  const Part clear = part_for(container.segments()[1], options);
  EXPECT_EQ(clear.kind(), SegmentKind::Clear);
  EXPECT_EQ(clear.header.clear, ClearRanges{}) << "all of it is";
  EXPECT_EQ(clear.tasks(), 1U);
  EXPECT_EQ(clear.aead_size(), 0U);
  EXPECT_EQ(part_for(container.segments()[2], options).tasks(), 0U) << "an empty one";
}

TEST(SegmentPlan, OfAContainerSealedElsewhereIsNotToSealItAgain) {
  const qpc::Container container = plain_container();
  SealOptions options = sealing({"network.elf"});
  options.inner = {{"network.elf", 999, sha256(view("inner"))}};
  const Part inner = part_for(container.segments()[0], options);
  EXPECT_EQ(inner.kind(), SegmentKind::Inner);
  EXPECT_FALSE(inner.sealed);
  EXPECT_EQ(inner.size(), 999U) << "as it was sealed";
  EXPECT_EQ(inner.tasks(), 0U);
  EXPECT_EQ(inner.aead_size(), 0U);
}

TEST(SegmentPlan, BecomesTheManifestsRow) {
  const qpc::Container container = plain_container();
  SealOptions options = sealing({"constants.bin"});
  options.clear = {{"constants.bin", {{2, 3}}}};
  const ManifestSegment row =
      make_row(part_for(container.segments()[1], options), sha256(view("its digest")));
  EXPECT_EQ(row, (ManifestSegment{
                     "constants.bin", 10, 7, SegmentKind::Sealed, sha256(view("its digest")), {{2, 3}}}));
}

TEST(SegmentPlan, OfAContainerThatStandsAloneIsItsOwnRoot) {
  SealOptions options = sealing({"network.elf"});
  options.created = 5;
  options.model_version = 9;
  const Bytes own(kIdSize, 1), root(kIdSize, 2);
  EXPECT_EQ(make_manifest(options, own, Bytes(kIdSize, 3)),
            (Manifest{own, Bytes(kIdSize, 3), 5, "net", 9, own, 0, 1, {}}));
  options.root_seal_id = root;
  options.partition_index = 2;
  options.partition_count = 4;
  EXPECT_EQ(make_manifest(options, own, Bytes(kIdSize, 3)),
            (Manifest{own, Bytes(kIdSize, 3), 5, "net", 9, root, 2, 4, {}}));
}

TEST(WantedSegments, AreThereAndNotEmpty) {
  const qpc::Container container = plain_container();
  check_wanted(container, sealing({"network.elf", "constants.bin"}));
  EXPECT_ERROR(Malformed, "segment 'none' is to be sealed but is not there",
               check_wanted(container, sealing({"network.elf", "none"})));
  EXPECT_ERROR(Malformed, "segment 'empty' is to be sealed but is empty",
               check_wanted(container, sealing({"network.elf", "empty"})));
}

TEST(WantedSegments, AreOneAtLeastOrAContainerSealedElsewhere) {
  const qpc::Container container = plain_container();
  EXPECT_ERROR(Malformed, "no segment to seal", check_wanted(container, sealing({})));
  SealOptions options = sealing({});
  options.inner = {{"network.elf", 999, {}}};
  check_wanted(container, options);
}

TEST(WantedSegments, LeaveAtMost1024RangesReadable) {
  const qpc::Container container = plain_container();
  SealOptions options = sealing({"network.elf", "constants.bin"});
  options.clear = {{"network.elf", ClearRanges(kMaxClearRangesInAll - 1)}, {"constants.bin", ClearRanges(1)}};
  check_wanted(container, options);
  options.clear["constants.bin"].emplace_back();
  EXPECT_ERROR(Malformed, "1025 ranges of it would stay readable, at most 1024 may",
               check_wanted(container, options));
}

TEST(PlainContainers, HaveNoNameOfTheSealedFormat) {
  check_plain(plain_container());
  for (const char* name : {"seal.x", "MEK.encrypt"})
    EXPECT_ERROR(Malformed,
                 "segment '" + std::string(name) + "': names that begin with seal. or MEK. belong to",
                 check_plain(qpc::Container::read(make_qpc({{"network.elf", {1}}, {name, {2}}}))));
  EXPECT_ERROR(Malformed, "this QPC is sealed already",
               check_plain(qpc::Container::read(make_qpc({{"seal.manifest", {1}}}))));
}

TEST(EncryptionsNeeded, AreOneForEachChunkWithSealedBytesAndOneForTheTag) {
  const qpc::Container container = plain_container();
  SealOptions options = sealing({"network.elf", "constants.bin"});
  EXPECT_EQ(encryptions_needed(container, options), 1U + 3 + 1);
  options.clear = {{"network.elf", {{0, kPlanChunk}}}};
  EXPECT_EQ(encryptions_needed(container, options), 1U + 2 + 1) << "a chunk that is all clear has none";
  options.mode = Mode::Envelope;
  EXPECT_EQ(encryptions_needed(container, options), 1U + 1 + 1) << "a data key for each segment";
  options.inner = {{"network.elf", 999, {}}};
  EXPECT_EQ(encryptions_needed(container, options), 1U + 1) << "those of an inner one are its own";
}

TEST(PlannedLayout, IsThatOfTheFileThatIsWritten) {
  const Fd input =
      make_qpc({{"network.elf", Bytes((2 * kPlanChunk) + 1, 1)}, {"constants.bin", Bytes(10, 2), 7}});
  const qpc::Container container = qpc::Container::read(input);
  SealOptions options = sealing({"network.elf"});
  options.clear = {{"network.elf", {{5, 50}}}};
  const Layout planned = planned_layout(container, options);
  qpcseal::testing::HostKey key;
  qpcseal::testing::FixedSigner signer;
  SystemRandom random;
  const Fd output = qpcseal::testing::scratch_file();
  const SealResult result = seal(input, container, options, key, signer, random, output);
  const Layout written = SealedContainer::read(output).layout();
  EXPECT_EQ(planned.file_size, qpcseal::testing::contents(output).size());
  EXPECT_EQ(planned.slot_page, result.slot_page);
  ASSERT_EQ(planned.segments.size(), written.segments.size());
  for (std::size_t i = 0; i < written.segments.size(); ++i) {
    EXPECT_EQ(planned.segments[i].name, written.segments[i].name);
    EXPECT_EQ(planned.segments[i].size, written.segments[i].size) << written.segments[i].name;
    EXPECT_EQ(planned.segments[i].data_position, written.segments[i].data_position);
  }
}

}  // namespace
}  // namespace qpcseal::seal
