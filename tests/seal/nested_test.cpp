// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/partitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "appliance/seal/bind.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"
#include "tests/seal/host_key.h"

namespace qpcseal::seal {
namespace {

using testing::contents;
using testing::HostKey;
using testing::make_qpc;
using testing::TestSegment;

constexpr unsigned kSmallChunk = 16;  // log2: 64 KiB

Bytes inner_qpc(std::uint8_t seed) {
  return contents(make_qpc({{"network.elf", Bytes(70000, seed)}, {"networkdesc.bin", Bytes(9, seed)}}));
}

std::vector<TestSegment> two_partitions() {
  return {{"a.qpc", inner_qpc(1)}, {"mdp_meta_info", Bytes(20, 'x')}, {"b.qpc", inner_qpc(2)}};
}

SealOptions options() {
  SealOptions out;
  out.created = 1'800'000'000;
  out.model_name = "net";
  out.chunk_log2 = kSmallChunk;
  return out;
}

// Sealed with the last partition first.
struct Nested {
  explicit Nested(const std::vector<TestSegment>& segments = two_partitions()) {
    const Fd input = make_qpc(segments);
    const qpc::Container container = qpc::Container::read(input);
    std::vector<Partition> partitions = find_partitions(input, container);
    for (Partition& partition : partitions) partition.segments = {"network.elf"};
    std::reverse(partitions.begin(), partitions.end());
    needed = encryptions_needed(container, partitions, options());
    file = testing::scratch_file();
    SystemRandom random;
    planned = sealed_size(container, partitions, options());
    result = seal_nested(input, container, partitions, options(), key, signer, random, file);
  }
  HostKey key;
  testing::FixedSigner signer;
  Fd file;
  NestedResult result;
  std::uint64_t needed = 0, planned = 0;
};

TEST(Nested, IsATreeWithAPageOfSlotsForEachPartition) {
  const Nested nested;
  const SealedTree tree = SealedTree::read(nested.file);
  ASSERT_EQ(tree.partitions().size(), 2U);
  EXPECT_EQ(tree.partitions()[0].segment, "b.qpc");
  EXPECT_EQ(tree.partitions()[1].segment, "a.qpc");
  EXPECT_EQ(tree.file_size(), file_size(nested.file));
  EXPECT_EQ(nested.planned, file_size(nested.file)) << "room is taken for what is written, and no more";
  for (std::size_t i = 0; i < 2; ++i) {
    const SealedNode& node = tree.partitions()[i];
    EXPECT_EQ(node.manifest.root_seal_id, tree.root().manifest.seal_id);
    EXPECT_EQ(node.manifest.seal_id, nested.result.partitions[i].seal_id);
    EXPECT_EQ(node.slot_page() % kPageSize, 0U) << "so that a clone shares all but that page";
    EXPECT_EQ(node.slot_page(), nested.result.partitions[i].slot_page);
    EXPECT_EQ(node.slots(), std::nullopt);
  }
  EXPECT_EQ(nested.key.calls, nested.needed) << "what the log counts is what happened";
  EXPECT_EQ(nested.result.root.encryptions, nested.needed);
}

TEST(Nested, BindsEachPartitionForItself) {
  const Nested nested;
  const SealedTree tree = SealedTree::read(nested.file);
  const std::vector<Slots> slots{{Bytes(46, 1), Bytes(32, 2), Bytes(65, 3)},
                                 {Bytes(46, 4), Bytes(32, 5), Bytes(65, 6)}};
  EXPECT_ERROR(Usage, "2 partitions", bindings_for(tree, {slots[0]}));
  const Fd bound = testing::scratch_file();
  bind_copy(nested.file, tree.file_size(), bindings_for(tree, slots), bound);
  const SealedTree again = SealedTree::read(bound);
  EXPECT_EQ(again.partitions()[0].slots(), slots[0]);
  EXPECT_EQ(again.partitions()[1].slots(), slots[1]);
}

TEST(Nested, TheRootsOwnSlotsStayEmpty) {
  const Nested nested;
  const SealedTree tree = SealedTree::read(nested.file);
  write_slots(nested.file, {{tree.root().slot_page(), {Bytes(46, 1), Bytes(32, 2), Bytes(65, 3)}}});
  EXPECT_ERROR(Malformed, "holds partitions", SealedTree::read(nested.file));
}

void copy_range(const Fd& from, std::uint64_t at, std::uint64_t size, const Fd& to, std::uint64_t place) {
  Bytes bytes(size);
  read_exact(from, bytes, at);
  write_exact(to, bytes, place);
}

TEST(Nested, RefusesThePartitionsOfAnotherModelAndChangedPlaces) {
  const Nested nested, other;
  const SealedTree tree = SealedTree::read(nested.file);
  const auto place = [&](std::size_t i) { return tree.partitions()[i].container.begin(); };
  const std::uint64_t size = tree.partitions()[0].container.layout().file_size;
  const Fd changed = testing::scratch_file();
  copy_range(nested.file, 0, tree.file_size(), changed, 0);
  copy_range(other.file, place(0), size, changed, place(0));
  EXPECT_ERROR(Malformed, "its manifest is another one", SealedTree::read(changed));
  copy_range(nested.file, place(1), size, changed, place(0));
  copy_range(nested.file, place(0), size, changed, place(1));
  EXPECT_ERROR(Malformed, "its manifest is another one", SealedTree::read(changed));
  const Fd alone = testing::scratch_file();
  copy_range(nested.file, place(0), size, alone, 0);
  EXPECT_ERROR(Malformed, "taken out of it", SealedTree::read(alone));
}

ErrorKind failure(const std::vector<TestSegment>& segments) {
  const Fd input = make_qpc(segments);
  try {
    static_cast<void>(find_partitions(input, qpc::Container::read(input)));
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::Internal;
}

TEST(Partitions, RefuseWhatOnlyBeginsAsAContainer) {
  Bytes broken = inner_qpc(1);
  broken.pop_back();
  EXPECT_EQ(failure({{"a.qpc", broken}}), ErrorKind::Malformed);
  EXPECT_EQ(failure({{"a.qpc", contents(make_qpc({{"deeper.qpc", inner_qpc(1)}}))}}), ErrorKind::Malformed);
  EXPECT_EQ(failure({{"a.qpc", contents(Nested().file)}}), ErrorKind::Malformed);
  EXPECT_EQ(failure({{"a.qpc", contents(make_qpc({{"MEK.pub", {1}}}))}}), ErrorKind::Malformed);
}

TEST(BindInPlace, RefusesAJournalThatIsNotItsOwn) {
  const qpcseal::testing::TempFolder dir;
  const std::filesystem::path path = dir / "model.qpc";
  const Nested nested;
  write_file(path, contents(nested.file), Existing::Refuse);
  EXPECT_FALSE(finish_binding(path));
  const Fd file = open_to_read(path);
  const SealedTree tree = SealedTree::read(file);
  const Slots slots{Bytes(46, 1), Bytes(32, 2), Bytes(65, 3)};
  bool begun = false;
  bind_in_place(path, tree, bindings_for(tree, {slots, slots}), begun);
  EXPECT_TRUE(begun);
  EXPECT_FALSE(finish_binding(path));
  EXPECT_EQ(SealedTree::read(open_to_read(path)).partitions()[1].slots(), slots);
  for (const std::size_t size : {std::size_t{0}, std::size_t{40}, std::size_t{5000}}) {
    write_file(journal_path(path), Bytes(size, 0x51), Existing::Replace);
    EXPECT_ERROR(Malformed, "rebind", finish_binding(path));
  }
}

// Its pages cannot change in one go, and the other name would keep the old ones.
TEST(BindInPlace, RefusesPartitionsUnderTwoNames) {
  const qpcseal::testing::TempFolder dir;
  const std::filesystem::path path = dir / "model.qpc";
  write_file(path, contents(Nested().file), Existing::Refuse);
  std::filesystem::create_hard_link(path, dir / "other.qpc");
  const SealedTree tree = SealedTree::read(open_to_read(path));
  const Slots slots{Bytes(46, 1), Bytes(32, 2), Bytes(65, 3)};
  bool begun = false;
  EXPECT_ERROR(Io, "hard links", bind_in_place(path, tree, bindings_for(tree, {slots, slots}), begun));
  EXPECT_FALSE(begun);
  EXPECT_FALSE(SealedTree::read(open_to_read(path)).partitions()[0].slots());
}

}  // namespace
}  // namespace qpcseal::seal
