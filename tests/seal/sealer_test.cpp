// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/sealer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "appliance/seal/bind.h"
#include "base/error.h"
#include "tests/base/expect_error.h"
#include "tests/seal/host_key.h"

namespace qpcseal::seal {
namespace {

using ::testing::HasSubstr;
using testing::HostKey;
using testing::TestSegment;

constexpr unsigned kTestChunk = 16;  // log2: 64 KiB

Bytes pattern(std::size_t size, std::uint8_t seed) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i * 31 + (i >> 8) + seed);
  return out;
}

struct Sealed {
  SealResult result;
  Fd file;
  Bytes bytes;
  SealedContainer container;
  Manifest manifest;
};

SealOptions options_for(std::vector<std::string> names, Mode mode = Mode::Token) {
  SealOptions options;
  options.mode = mode;
  options.segments = std::move(names);
  options.created = 1'800'000'000;
  options.model_name = "net";
  options.model_version = 7;
  options.chunk_log2 = kTestChunk;
  options.threads = 3;
  return options;
}

Sealed seal_them(const std::vector<TestSegment>& segments, const SealOptions& options, HostKey& key,
                 testing::FixedSigner& signer) {
  const Fd input = testing::make_qpc(segments);
  SystemRandom random;
  Fd output = testing::scratch_file();
  const auto result = seal(input, qpc::Container::read(input), options, key, signer, random, output);
  Bytes bytes = testing::contents(output);
  SealedContainer container = SealedContainer::read(output);
  Manifest manifest = parse_manifest(container.manifest());
  return {result, std::move(output), std::move(bytes), std::move(container), std::move(manifest)};
}

ByteView stored(const Sealed& sealed, std::size_t index) {
  const qpc::Segment& segment = sealed.container.layout().segments[index];
  return ByteView(sealed.bytes).subspan(segment.data_position, segment.size);
}

// Decrypts as FORMAT.md section 2.1 says.
std::optional<Bytes> open_segment(ByteView bytes, const std::string& name, ByteView mek) {
  const SegmentHeader header = parse_header(bytes.first(kHeaderSize));
  Bytes key = copy(mek);
  if (header.mode == Mode::Envelope) {
    const auto data_key = testing::decrypt(mek, data_key_aad(bytes.first(kHeaderSize), name),
                                           bytes.subspan(kHeaderSize, kWrappedDataKeySize));
    if (!data_key) return std::nullopt;
    key = *data_key;
  }
  Bytes plain;
  for (std::uint64_t i = 0; i < header.chunk_count(); ++i) {
    const ByteView chunk =
        bytes.subspan(header.chunk_position(i), header.chunk_plain_size(i) + kChunkOverhead);
    const auto part = testing::decrypt(
        key, chunk_aad(bytes.first(kHeaderSize), name, i, i + 1 == header.chunk_count()), chunk);
    if (!part) return std::nullopt;
    append(plain, *part);
  }
  return plain;
}

class SealSizes : public ::testing::TestWithParam<std::tuple<std::size_t, Mode>> {};

TEST_P(SealSizes, OpenToTheSameBytes) {
  const auto [size, mode] = GetParam();
  const std::vector<TestSegment> segments{{"network.elf", pattern(size, 1)},
                                          {"constantsdesc.bin", pattern(99, 2)},
                                          {"constants.bin", pattern(size + 17, 3), 17},
                                          {"empty", {}}};
  HostKey key;
  testing::FixedSigner signer;
  const Sealed sealed = seal_them(segments, options_for({"network.elf", "constants.bin"}, mode), key, signer);
  EXPECT_EQ(open_segment(stored(sealed, 0), "network.elf", key.value()), segments[0].data);
  EXPECT_EQ(open_segment(stored(sealed, 2), "constants.bin", key.value()), segments[2].data);
  EXPECT_EQ(copy(stored(sealed, 1)), segments[1].data) << "clear segments stay as they are";
  EXPECT_EQ(sealed.container.layout().segments[2].offset, 17U);
  EXPECT_EQ(open_segment(stored(sealed, 0), "constants.bin", key.value()), std::nullopt)
      << "bound to its name";
  EXPECT_EQ(key.calls, sealed.result.encryptions) << "what the log counts is what happened";
  EXPECT_EQ(signer.signed_message, seal_message(sha256(sealed.container.manifest())));
  EXPECT_EQ(sealed.manifest.segments.size(), 4U);
  EXPECT_EQ(sealed.manifest.segments[1].digest, sha256(segments[1].data));
}

INSTANTIATE_TEST_SUITE_P(AroundChunks, SealSizes,
                         ::testing::Combine(::testing::Values(1, 65535, 65536, 65537, 131072, 300001),
                                            ::testing::Values(Mode::Token, Mode::Envelope)));

TEST(Seal, DigestsAreThoseOfTheStoredChunks) {
  HostKey key;
  testing::FixedSigner signer;
  const Sealed sealed =
      seal_them({{"network.elf", pattern(150000, 1)}}, options_for({"network.elf"}), key, signer);
  const ByteView bytes = stored(sealed, 0);
  Bytes text = copy(bytes.first(kHeaderSize));
  const SegmentHeader header = parse_header(bytes.first(kHeaderSize));
  for (std::uint64_t i = 0; i < header.chunk_count(); ++i)
    append(text,
           sha256(bytes.subspan(header.chunk_position(i), header.chunk_plain_size(i) + kChunkOverhead)));
  EXPECT_EQ(sealed.manifest.segments[0].digest, sha256(text));
  const auto tag = testing::decrypt(key.value(), view(kManifestText), stored(sealed, 2));
  EXPECT_EQ(tag, copy(sha256(sealed.container.manifest())));
}

TEST(Seal, IvsNeverRepeat) {
  HostKey key;
  testing::FixedSigner signer;
  const Sealed sealed =
      seal_them({{"network.elf", pattern(40 << 16, 1)}}, options_for({"network.elf"}), key, signer);
  const ByteView bytes = stored(sealed, 0);
  const SegmentHeader header = parse_header(bytes.first(kHeaderSize));
  std::set<Bytes> ivs;
  for (std::uint64_t i = 0; i < header.chunk_count(); ++i)
    ivs.insert(copy(bytes.subspan(header.chunk_position(i), kIvSize)));
  EXPECT_EQ(ivs.size(), header.chunk_count());
}

ErrorKind failure(const std::vector<TestSegment>& segments, const SealOptions& options,
                  unsigned fail_at = 0) {
  HostKey key;
  key.fail_at = fail_at;
  testing::FixedSigner signer;
  try {
    seal_them(segments, options, key, signer);
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "no error";
  return ErrorKind::Internal;
}

TEST(Seal, RefusesWhatItMustNotSeal) {
  EXPECT_EQ(failure({{"network.elf", {}}}, options_for({"network.elf"})), ErrorKind::Malformed);
  EXPECT_EQ(failure({{"network.elf", {1}}}, options_for({"other"})), ErrorKind::Malformed);
  EXPECT_EQ(failure({{"network.elf", {1}}}, options_for({})), ErrorKind::Malformed);
  EXPECT_EQ(failure({{"network.elf", {1}}, {"seal.tag", {2}}}, options_for({"network.elf"})),
            ErrorKind::Malformed);
  EXPECT_EQ(failure({{"network.elf", {1}}, {"MEK.pub", {2}}}, options_for({"network.elf"})),
            ErrorKind::Malformed);
}

TEST(Parallel, ATokenThatGoesAwayStopsEverything) {
  for (const unsigned at : {1U, 2U, 7U, 21U})
    EXPECT_EQ(failure({{"network.elf", pattern(20 << 16, 1)}}, options_for({"network.elf"}), at),
              ErrorKind::Token)
        << at;
}

TEST(Parallel, ThreadsDoNotChangeWhatOpens) {
  const Bytes data = pattern((33 << 16) + 5, 9);
  for (const unsigned threads : {1U, 2U, 8U}) {
    HostKey key;
    testing::FixedSigner signer;
    SealOptions options = options_for({"network.elf"});
    options.threads = threads;
    const Sealed sealed = seal_them({{"a", {1, 2}}, {"network.elf", data}}, options, key, signer);
    EXPECT_EQ(open_segment(stored(sealed, 1), "network.elf", key.value()), data);
  }
}

TEST(Bind, TouchesTheSlotPageAlone) {
  HostKey key;
  testing::FixedSigner signer;
  const Sealed sealed =
      seal_them({{"network.elf", pattern(70000, 1)}}, options_for({"network.elf"}), key, signer);
  EXPECT_EQ(parse_slots(sealed.container.slot_page()), std::nullopt);
  const Slots slots{Bytes(46, 1), Bytes(32, 2), Bytes(65, 3)};
  const Fd bound = testing::scratch_file();
  bind_copy(sealed.file, sealed.bytes.size(), {{sealed.result.slot_page, slots}}, bound);
  Bytes bytes = testing::contents(bound);
  EXPECT_EQ(parse_slots(SealedContainer::read(bound).slot_page()), slots);
  const std::uint64_t page = sealed.container.layout().slot_page;
  std::copy_n(sealed.bytes.begin() + static_cast<std::ptrdiff_t>(page), kPageSize,
              bytes.begin() + static_cast<std::ptrdiff_t>(page));
  EXPECT_EQ(bytes, sealed.bytes);
}

// FORMAT.md's limit: 4096 segments with the six, names of 255 bytes.
TEST(Sealer, TakesAsManySegmentsAsAContainerMayHave) {
  constexpr std::size_t kMost = qpc::kMaxSegments - kAddedNames.size(), kName = 255;
  std::vector<TestSegment> segments;
  for (std::size_t i = 0; i < kMost; ++i) {
    std::string name = std::to_string(i) + "-";
    segments.push_back({name.append(kName - name.size(), 'n'), Bytes(i % 3, 0x55)});
  }
  segments.front().data = pattern(1000, 1);
  HostKey key;
  testing::FixedSigner signer;
  const Sealed sealed = seal_them(segments, options_for({segments.front().name}), key, signer);
  EXPECT_EQ(sealed.manifest.segments.size(), kMost);
  EXPECT_EQ(open_segment(stored(sealed, 0), segments.front().name, key.value()), segments.front().data);
  EXPECT_GT(sealed.container.manifest().size(), std::size_t{1} << 20);
  EXPECT_LE(sealed.container.manifest().size(), kMaxManifest);
  segments.push_back({"one-more", {}});
  EXPECT_ERROR(Malformed, "at most 4090 can be sealed", seal_them(segments, options_for({}), key, signer));
}

}  // namespace
}  // namespace qpcseal::seal
