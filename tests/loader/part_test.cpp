// SPDX-License-Identifier: Apache-2.0
// One container on its card, step by step: which step refuses what, and what it says. That every changed byte
// is refused, sweep_test.cpp shows.
#include "device/loader/part.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/loader/bench.h"

namespace qpcseal::device {
namespace {

using testing::Bench;

constexpr std::size_t kHead = 64, kRange = 16, kEntry = 28;  // bytes of seal.aead

class LoadedParts : public ::testing::Test {
 protected:
  Bench bench;
  const Bytes container = bench.seal({.model_version = 5, .readable = true});
  const Fd file = open_to_read(bench.file());
  SealedContainer sealed = read_sealed(file, 0, container.size());
  PartitionLoader part{file, sealed};
  Card card = bench.card();
  const SecretBuffer mek = bench.mek_value(container);

  void open() { part.open(mek.bytes()); }
  // Every segment's bytes are checked, and go nowhere.
  void run() { part.run(nullptr, 0, part.plain_rows({})); }
};

TEST_F(LoadedParts, OpenWithTheKeyOfTheirSlots) {
  EXPECT_NO_THROW(part.check_origin(card));
  const SecretBuffer unwrapped = part.unwrap(card);
  EXPECT_TRUE(equal(unwrapped.bytes(), mek.bytes()));
  part.open(unwrapped.bytes());
  EXPECT_NO_THROW(run());
}

TEST_F(LoadedParts, AreOfTheCardsApplianceWhereItHasAKey) {
  sealed.signature[0] ^= 1;
  EXPECT_ERROR(Denied, "seal.sig is not this appliance's signature", part.check_origin(card));
  card.seal_key.reset();
  EXPECT_NO_THROW(part.check_origin(card));
}

TEST_F(LoadedParts, AreAsNewAsTheCardDemands) {
  for (const std::uint64_t least : {0U, 4U, 5U}) {
    card.minimum_model_version = least;
    EXPECT_NO_THROW(part.check_origin(card)) << least;
  }
  card.minimum_model_version = 6;
  EXPECT_ERROR(Denied, "the model is older than this card accepts", part.check_origin(card));
}

TEST_F(LoadedParts, AreBound) {
  sealed.wrapped.reset();
  EXPECT_ERROR(Denied, "it is not bound to a card", part.unwrap(card));
}

TEST_F(LoadedParts, HaveATagUnderTheirKey) {
  EXPECT_ERROR(Denied, "seal.tag does not fit the manifest", part.open(Bytes(16, 1)));
  sealed.manifest.push_back(0);
  EXPECT_ERROR(Denied, "seal.tag does not fit the manifest", open());
}

// Magic, version, mode, chunk size, zeros, size, MEK, seal id, number of ranges: none is another's.
TEST_F(LoadedParts, HaveHeadersOfTheirOwn) {
  for (std::size_t at = 0; at < kHead; ++at) {
    sealed.aead[at] ^= 0x80;
    EXPECT_ERROR(Denied, "the part of 'network.elf' in seal.aead has a header that is not its own", open())
        << at;
    sealed.aead[at] ^= 0x80;
  }
  EXPECT_NO_THROW(open());
}

TEST_F(LoadedParts, HaveChunksFrom64KiBTo1MiB) {
  const auto with = [&](unsigned log2) {
    sealed.aead[10] = static_cast<std::uint8_t>(log2);
    open();
  };
  for (const unsigned log2 : {16U, 20U}) EXPECT_NO_THROW(with(log2)) << "the segment is one chunk anyhow";
  for (const unsigned log2 : {0U, 15U, 21U, 64U, 255U})
    EXPECT_ERROR(Denied, "has a header that is not its own", with(log2));
  with(20);
  EXPECT_ERROR(Denied, "chunk 0 of 'network.elf' does not open", run()) << "its header is authenticated";
}

TEST_F(LoadedParts, HaveTheClearRangesOfTheManifest) {
  for (const std::size_t at : {kHead, kHead + 8, kHead + 2 * kRange - 1}) {
    sealed.aead[at] ^= 1;
    EXPECT_ERROR(Denied, "the part of 'network.elf' in seal.aead has other clear ranges than the manifest",
                 open());
    sealed.aead[at] ^= 1;
  }
}

TEST_F(LoadedParts, HaveAllOfSealAeadAndNoMore) {
  const Bytes whole = sealed.aead;
  const std::size_t first = kHead + 2 * kRange + kEntry;
  ASSERT_EQ(whole.size(), first + kHead + kEntry);
  const auto with = [&](std::size_t size) {
    sealed.aead = whole;
    sealed.aead.resize(size);
    open();
  };
  EXPECT_ERROR(Denied, "the part of 'network.elf' in seal.aead is cut short", with(0));
  EXPECT_ERROR(Denied, "the part of 'network.elf' in seal.aead is cut short", with(kHead - 1));
  EXPECT_ERROR(Denied, "has other clear ranges", with(kHead + 2 * kRange - 1));
  EXPECT_ERROR(Denied, "the part of 'network.elf' in seal.aead is cut short", with(first - 1));
  EXPECT_ERROR(Denied, "the part of 'constants.bin' in seal.aead is cut short", with(first));
  EXPECT_ERROR(Denied, "the part of 'constants.bin' in seal.aead is cut short", with(whole.size() - 1));
  EXPECT_ERROR(Denied, "seal.aead has more than the parts of its segments", with(whole.size() + 1));
  EXPECT_NO_THROW(with(whole.size()));
}

TEST_F(LoadedParts, HaveTheSegmentsThatWereSealed) {
  open();
  const auto spoiled = [&](std::size_t index, std::uint64_t at) {
    Bytes bytes = container;
    bytes[sealed.segments[index].position + at] ^= 1;
    write_file(bench.file(), bytes, Existing::Replace);
    const Fd changed = open_to_read(bench.file());
    PartitionLoader loader(changed, sealed);
    loader.open(mek.bytes());
    loader.run(nullptr, 0, loader.plain_rows({}));
  };
  EXPECT_ERROR(Denied, "segment 'network.elf' is not the one that was sealed", spoiled(0, 0))
      << "in the clear range";
  EXPECT_ERROR(Denied, "chunk 0 of 'network.elf' does not open", spoiled(0, 60));
  EXPECT_ERROR(Denied, "segment 'constantsdesc.bin' is not the one that was sealed", spoiled(1, 76));
}

TEST_F(LoadedParts, LieOneBehindTheOtherOnceTheyArePlain) {
  sealed.segments[1].kind = Kind::Inner;
  const auto rows = part.plain_rows({{"constantsdesc.bin", 1000}});
  ASSERT_EQ(rows.size(), sealed.segments.size());
  EXPECT_EQ(rows[0].size, 300U);
  EXPECT_EQ(rows[1].size, 1000U) << "a partition's plain size";
  EXPECT_EQ(rows[1].data_position, rows[0].data_position + 300);
  EXPECT_EQ(rows[2].data_position, rows[1].data_position + 1000);
  EXPECT_EQ(rows[2].offset, 40U);
}

}  // namespace
}  // namespace qpcseal::device
