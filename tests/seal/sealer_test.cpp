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

// The part of seal.aead for row `index`.
ByteView part_of(const Sealed& sealed, std::size_t index) {
  const ByteView aead = stored(sealed, sealed.container.own());
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < index; ++i)
    if (sealed.manifest.segments[i].kind == SegmentKind::Sealed)
      at += parse_front(aead.subspan(at)).part_size();
  return aead.subspan(at, parse_front(aead.subspan(at)).part_size());
}

// Decrypts as FORMAT.md section 2.1 says.
std::optional<Bytes> open_segment(const Sealed& sealed, std::size_t index, const std::string& name,
                                  ByteView mek) {
  const ByteView part = part_of(sealed, index);
  const SegmentHeader header = parse_front(part);
  Bytes key = copy(mek), plain = copy(stored(sealed, index));
  if (header.mode == Mode::Envelope) {
    const auto data_key = testing::decrypt(mek, data_key_aad(part.first(kHeaderSize), name),
                                           part.subspan(kHeaderSize, kWrappedDataKeySize));
    if (!data_key) return std::nullopt;
    key = *data_key;
  }
  std::size_t entry = header.front_size();
  for (std::uint64_t i = 0; i < header.chunk_count(); ++i) {
    const qpc::Extent chunk = header.chunk(i);
    const MutableBytes window = MutableBytes(plain).subspan(chunk.first, chunk.size);
    const Bytes message = gather_sealed(header.clear, chunk.first, window);
    if (message.empty()) continue;
    Bytes text = copy(part.subspan(entry, kIvSize));
    append(text, message);
    append(text, part.subspan(entry + kIvSize, kTagSize));
    entry += kEntrySize;
    const auto opened = testing::decrypt(
        key, chunk_aad(part.first(kHeaderSize), name, i, i == header.last_sealed_chunk()), text);
    if (!opened) return std::nullopt;
    scatter_sealed(header.clear, chunk.first, *opened, window);
  }
  EXPECT_EQ(entry, part.size());
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
  EXPECT_EQ(open_segment(sealed, 0, "network.elf", key.value()), segments[0].data);
  EXPECT_EQ(open_segment(sealed, 2, "constants.bin", key.value()), segments[2].data);
  EXPECT_EQ(copy(stored(sealed, 1)), segments[1].data) << "clear segments stay as they are";
  EXPECT_EQ(sealed.container.layout().segments[2].offset, 17U);
  EXPECT_EQ(open_segment(sealed, 0, "constants.bin", key.value()), std::nullopt) << "bound to its name";
  EXPECT_EQ(key.calls, sealed.result.encryptions) << "what the log counts is what happened";
  EXPECT_EQ(signer.signed_message, seal_message(sha256(sealed.container.manifest())));
  EXPECT_EQ(sealed.manifest.segments.size(), 4U);
  EXPECT_EQ(stored(sealed, 0).size(), size) << "sealed bytes lie where the plain ones lay";
}

INSTANTIATE_TEST_SUITE_P(AroundChunks, SealSizes,
                         ::testing::Combine(::testing::Values(1, 65535, 65536, 65537, 131072, 300001),
                                            ::testing::Values(Mode::Token, Mode::Envelope)));

// Of 32 KiB pieces, hashed by OpenSSL one by one.
Sha256Digest digest_of(ByteView bytes, ByteView part) {
  Bytes text = copy(view(std::string_view("qpcseal/segment/2\0", 18)));
  append_be(text, bytes.size(), 8);
  for (std::size_t at = 0; at < bytes.size(); at += 32768)
    append(text, sha256(bytes.subspan(at, std::min<std::size_t>(32768, bytes.size() - at))));
  append(text, part);
  return sha256(text);
}

TEST(Seal, DigestsAreThoseOfTheStoredPieces) {
  HostKey key;
  testing::FixedSigner signer;
  const std::vector<TestSegment> segments{{"clear", pattern(1'500'001, 4)},
                                          {"network.elf", pattern(1'500'000, 1)},
                                          {"empty", {}},
                                          {"constants.bin", pattern(1, 1)}};
  const Sealed sealed = seal_them(segments, options_for({"network.elf", "constants.bin"}), key, signer);
  const auto& rows = sealed.manifest.segments;
  EXPECT_EQ(rows[0].digest, digest_of(segments[0].data, {}));
  EXPECT_EQ(rows[1].digest, digest_of(stored(sealed, 1), part_of(sealed, 1)));
  EXPECT_EQ(rows[2].digest, digest_of({}, {}));
  EXPECT_EQ(rows[3].digest, digest_of(stored(sealed, 3), part_of(sealed, 3)));
  const auto tag = testing::decrypt(key.value(), view(kManifestText), stored(sealed, 6));
  EXPECT_EQ(tag, copy(sha256(sealed.container.manifest())));
}

TEST(Seal, ClearRangesStayAndAllElseIsSealed) {
  const Bytes plain = pattern((3 << 16) + 100, 1);
  for (const ClearRanges& clear :
       {ClearRanges{{0, 64}}, ClearRanges{{10, 1}, {65000, 70000}, {190000, 50}},
        ClearRanges{{1, (3 << 16) + 99}}, ClearRanges{{65536, 65536}}, ClearRanges{{0, (3 << 16) + 99}}})
    for (const Mode mode : {Mode::Token, Mode::Envelope}) {
      HostKey key;
      testing::FixedSigner signer;
      SealOptions options = options_for({"network.elf"}, mode);
      options.clear["network.elf"] = clear;
      const Sealed sealed = seal_them({{"network.elf", plain}}, options, key, signer);
      EXPECT_EQ(sealed.manifest.segments[0].clear, clear);
      EXPECT_EQ(open_segment(sealed, 0, "network.elf", key.value()), plain);
      EXPECT_EQ(key.calls, sealed.result.encryptions);
      const ByteView kept = stored(sealed, 0);
      for (const qpc::Extent& range : clear)
        EXPECT_TRUE(
            equal(kept.subspan(range.first, range.size), ByteView(plain).subspan(range.first, range.size)));
      const Bytes was = gather_sealed(clear, 0, plain), is = gather_sealed(clear, 0, kept);
      if (was.size() > 16) {
        EXPECT_NE(was, is);
      }
    }
}

TEST(Seal, RefusesMoreClearRangesThanAContainerMayHave) {
  HostKey key;
  testing::FixedSigner signer;
  std::vector<TestSegment> segments;
  SealOptions options = options_for({});
  for (std::size_t i = 0; i < 17; ++i) {
    const std::string name = "s" + std::to_string(i);
    segments.push_back({name, pattern(1000, 1)});
    options.segments.push_back(name);
    for (std::uint64_t k = 0; k < 61; ++k) options.clear[name].push_back({2 * k, 1});
  }
  EXPECT_ERROR(Malformed, "at most 1024", seal_them(segments, options, key, signer));
  options.clear["s0"].resize(48);
  EXPECT_EQ(seal_them(segments, options, key, signer).manifest.segments[0].clear.size(), 48U);
}

TEST(Seal, IvsNeverRepeat) {
  HostKey key;
  testing::FixedSigner signer;
  const Sealed sealed =
      seal_them({{"network.elf", pattern(40 << 16, 1)}}, options_for({"network.elf"}), key, signer);
  const ByteView part = part_of(sealed, 0);
  const SegmentHeader header = parse_front(part);
  std::set<Bytes> ivs;
  for (std::uint64_t i = 0; i < header.chunk_count(); ++i)
    ivs.insert(copy(part.subspan(header.front_size() + i * kEntrySize, kIvSize)));
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
    EXPECT_EQ(open_segment(sealed, 1, "network.elf", key.value()), data);
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

// FORMAT.md's limit: 4096 segments with the seven, names of 255 bytes.
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
  EXPECT_EQ(open_segment(sealed, 0, segments.front().name, key.value()), segments.front().data);
  EXPECT_GT(sealed.container.manifest().size(), std::size_t{1} << 20);
  EXPECT_LE(sealed.container.manifest().size(), kMaxManifest);
  segments.push_back({"one-more", {}});
  EXPECT_ERROR(Malformed, "at most 4089 can be sealed", seal_them(segments, options_for({}), key, signer));
}

}  // namespace
}  // namespace qpcseal::seal
