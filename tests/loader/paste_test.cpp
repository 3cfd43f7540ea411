// SPDX-License-Identifier: Apache-2.0
// A card given a container whose segments were dropped, swapped, renamed, or taken from another container or
// an older version of the same model, refuses to load it. Each attack keeps the layout canonical, so that it
// is the manifest, its tag and its signature that have to notice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "appliance/seal/data_key.h"
#include "appliance/seal/format.h"
#include "appliance/seal/manifest.h"
#include "appliance/seal/segment_digest.h"
#include "base/piece_digest.h"
#include "tests/loader/bench.h"

namespace qpcseal::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kSeven = seal::kAddedNames.size();
constexpr std::size_t kChunk = std::size_t{1} << 16;

class Splice : public ::testing::TestWithParam<seal::Mode> {
 protected:
  void SetUp() override {
    good_ = bench_.seal({.mode = GetParam(), .model_version = 2});
    other_ = bench_.seal({.mode = GetParam(), .model_version = 2});
    old_ = bench_.seal({.mode = GetParam(), .model_version = 1});
    ASSERT_EQ(put_together(take_apart(good_)), good_);
    for (const Bytes& each : {good_, other_, old_}) ASSERT_EQ(refusal(each), "");
  }
  void TearDown() override {
    std::cout << "mode " << seal::to_string(GetParam()) << ": " << count_ << " containers refused\n";
  }
  std::string refusal(ByteView container) { return bench_.refusal(container, bench_.card()); }
  void refused(const Parts& parts, const std::string& what) {
    EXPECT_NE(refusal(put_together(parts)), "") << what;
    ++count_;
  }
  // One change to a fresh copy of the good container.
  void refused(const std::string& what, const std::function<void(Parts&)>& change) {
    Parts parts = take_apart(good_);
    change(parts);
    refused(parts, what);
  }

  Bench bench_;
  Bytes good_, other_, old_;
  unsigned count_ = 0;
};

TEST_P(Splice, DroppedSegments) {
  const std::size_t size = take_apart(good_).segments.size();
  for (std::size_t i = 0; i < size; ++i)
    refused("dropped " + std::to_string(i),
            [&](Parts& p) { p.segments.erase(p.segments.begin() + static_cast<std::ptrdiff_t>(i)); });
  refused("all dropped but the seven", [&](Parts& p) {
    p.segments.erase(p.segments.begin(), p.segments.end() - static_cast<std::ptrdiff_t>(kSeven));
  });
}

TEST_P(Splice, SwappedSegments) {
  const std::size_t size = take_apart(good_).segments.size();
  for (std::size_t i = 0; i < size; ++i)
    for (std::size_t j = i + 1; j < size; ++j) {
      const std::string what = std::to_string(i) + " and " + std::to_string(j);
      refused("rows " + what, [&](Parts& p) { std::swap(p.segments[i], p.segments[j]); });
      refused("names of " + what, [&](Parts& p) { std::swap(p.segments[i].name, p.segments[j].name); });
      refused("contents of " + what, [&](Parts& p) { std::swap(p.segments[i].data, p.segments[j].data); });
    }
}

TEST_P(Splice, RenamedSegments) {
  const std::size_t size = take_apart(good_).segments.size();
  for (std::size_t i = 0; i < size; ++i) {
    refused("renamed " + std::to_string(i), [&](Parts& p) { p.segments[i].name += "x"; });
    refused("renamed " + std::to_string(i), [&](Parts& p) { p.segments[i].name[0] ^= 1; });
  }
}

TEST_P(Splice, AddedSegments) {
  const std::size_t size = take_apart(good_).segments.size();
  for (std::size_t i = 0; i <= size; ++i)
    for (const Segment& added : {Segment{"added.bin", {}, 0}, Segment{"added.bin", Bytes(10, 1), 0}})
      refused("added before " + std::to_string(i), [&](Parts& p) {
        p.segments.insert(p.segments.begin() + static_cast<std::ptrdiff_t>(i), added);
      });
}

TEST_P(Splice, OtherOffsets) {
  const std::size_t size = take_apart(good_).segments.size();
  for (std::size_t i = 0; i < size; ++i)
    refused("offset of " + std::to_string(i),
            [&](Parts& p) { p.segments[i].offset = p.segments[i].offset == 0 ? 1 : 0; });
}

TEST_P(Splice, FromAnotherContainerOrAnOlderOne) {
  for (const auto& [what, donor_bytes] : {std::pair{"another", other_}, std::pair{"an older", old_}}) {
    const Parts donor = take_apart(donor_bytes);
    for (std::size_t i = 0; i < donor.segments.size(); ++i) {
      // Clear segments of the same model are the same bytes, and the slots hold the same MEK: no change.
      if (donor.segments[i].data == take_apart(good_).segments[i].data) continue;
      if (donor.segments[i].name.starts_with("MEK.")) continue;
      refused(donor.segments[i].name + " of " + what,
              [&](Parts& p) { p.segments[i].data = donor.segments[i].data; });
    }
    refused(std::string("all sealed segments of ") + what, [&](Parts& p) {
      for (const char* name : {"network.elf", "constants.bin"})
        p.at(name).data = std::ranges::find(donor.segments, name, &Segment::name)->data;
    });
    refused(std::string("manifest, tag and signature of ") + what, [&](Parts& p) {
      for (const char* name : {"seal.manifest", "seal.tag", "seal.sig"})
        p.at(name).data = std::ranges::find(donor.segments, name, &Segment::name)->data;
    });
  }
}

TEST_P(Splice, SlotsOfTheSameKeyFit) {
  // Not an attack: what is wrapped is the MEK, not the container, and replace-mek lives on that.
  Parts parts = take_apart(good_), donor = take_apart(other_);
  for (const char* name : {"MEK.encrypt", "MEK.nonce", "MEK.pub"}) parts.at(name).data = donor.at(name).data;
  EXPECT_EQ(refusal(put_together(parts)), "");
  count_ = 0;
  for (const char* name : {"MEK.encrypt", "MEK.pub"})
    refused(std::string(name) + " alone", [&](Parts& p) { p.at(name).data = donor.at(name).data; });
}

TEST_P(Splice, SlotsOfAnotherKey) {
  Parts donor = take_apart(bench_.seal({.mode = GetParam(), .model_version = 2, .mek = "another"}));
  refused("slots", [&](Parts& p) {
    for (const char* name : {"MEK.encrypt", "MEK.nonce", "MEK.pub"}) p.at(name).data = donor.at(name).data;
  });
  refused("the wrapped key under this MEK's id", [&](Parts& p) {
    for (const char* name : {"MEK.encrypt", "MEK.nonce", "MEK.pub"}) {
      const Bytes own = p.at(name).data;
      p.at(name).data = donor.at(name).data;
      if (std::string_view(name) == "MEK.encrypt")
        std::copy_n(own.begin() + 8, 16, p.at(name).data.begin() + 8);
    }
  });
  refused("no slots", [&](Parts& p) {
    for (const char* name : {"MEK.encrypt", "MEK.nonce", "MEK.pub"})
      std::ranges::fill(p.at(name).data, std::uint8_t{0});
  });
}

TEST_P(Splice, OtherCards) {
  EXPECT_THAT(bench_.refusal(good_, Bench::stranger()), HasSubstr("nonce"));
  device::Card card = Bench::stranger();
  card.answered_nonces = bench_.card().answered_nonces;  // even if it had seen the challenge
  EXPECT_THAT(bench_.refusal(good_, card), HasSubstr("does not open"));
  card = bench_.card();
  card.answered_nonces.clear();  // reset since
  EXPECT_THAT(bench_.refusal(good_, card), HasSubstr("nonce"));
  card = bench_.card();
  card.ueid.back() ^= 1;
  EXPECT_THAT(bench_.refusal(good_, card), HasSubstr("does not open"));
  count_ = 4;
}

TEST_P(Splice, OlderThanTheCardAccepts) {
  device::Card card = bench_.card();
  card.minimum_model_version = 2;
  EXPECT_EQ(bench_.refusal(good_, card), "");
  EXPECT_THAT(bench_.refusal(old_, card), HasSubstr("older than this card accepts"));
  count_ = 1;
}

// The part of seal.aead of constants.bin, the last one.
MutableBytes constants_part(Parts& parts) {
  MutableBytes aead = parts.at("seal.aead").data;
  const std::size_t first = seal::parse_front(aead).part_size();
  return aead.subspan(first);
}

// Chunks within one segment: moved, dropped, doubled, from elsewhere; with their entries in seal.aead or
// without.
TEST_P(Splice, Chunks) {
  good_ = bench_.seal({.mode = GetParam(), .constants = 2 * kChunk + 9});
  other_ = bench_.seal({.mode = GetParam(), .constants = 2 * kChunk + 9});
  ASSERT_EQ(refusal(good_), "");
  const std::size_t front = GetParam() == seal::Mode::Token ? 64 : 108;
  const auto chunk = [&](Parts& p, std::size_t i) {
    Bytes& data = p.at("constants.bin").data;
    return MutableBytes(data).subspan(i * kChunk, std::min(kChunk, data.size() - i * kChunk));
  };
  const auto entry = [&](Parts& p, std::size_t i) {
    return constants_part(p).subspan(front + i * seal::kEntrySize, seal::kEntrySize);
  };
  const auto swap = [&](MutableBytes a, MutableBytes b) { std::swap_ranges(a.begin(), a.end(), b.begin()); };
  refused("chunks 0 and 1 swapped", [&](Parts& p) { swap(chunk(p, 0), chunk(p, 1)); });
  refused("entries 0 and 1 swapped", [&](Parts& p) { swap(entry(p, 0), entry(p, 1)); });
  refused("chunks 0 and 1 swapped with their entries", [&](Parts& p) {
    swap(chunk(p, 0), chunk(p, 1));
    swap(entry(p, 0), entry(p, 1));
  });
  for (const std::size_t i : {0U, 1U, 2U})
    refused("chunk of the other container", [&](Parts& p) {
      Parts donor = take_apart(other_);
      std::ranges::copy(chunk(donor, i), chunk(p, i).begin());
      std::ranges::copy(entry(donor, i), entry(p, i).begin());
    });
  refused("last chunk dropped, the header adjusted", [&](Parts& p) {
    p.at("constants.bin").data.resize(2 * kChunk);
    Bytes size;
    append_le(size, 2 * kChunk, 8);
    std::ranges::copy(size, constants_part(p).subspan(16).begin());
    Bytes& aead = p.at("seal.aead").data;
    aead.resize(aead.size() - seal::kEntrySize);
  });
  refused("last chunk dropped", [&](Parts& p) { p.at("constants.bin").data.resize(2 * kChunk); });
}

TEST_P(Splice, PartsOfSealAead) {
  const auto aead = [](Parts& p) -> Bytes& { return p.at("seal.aead").data; };
  refused("none", [&](Parts& p) { aead(p).clear(); });
  refused("cut short", [&](Parts& p) { aead(p).pop_back(); });
  refused("without the last entry", [&](Parts& p) { aead(p).resize(aead(p).size() - seal::kEntrySize); });
  refused("with more behind it", [&](Parts& p) { aead(p).push_back(0); });
  refused("with an entry more", [&](Parts& p) { aead(p).resize(aead(p).size() + seal::kEntrySize); });
  refused("swapped", [&](Parts& p) {
    const std::size_t first = seal::parse_front(aead(p)).part_size();
    std::ranges::rotate(aead(p), aead(p).begin() + static_cast<std::ptrdiff_t>(first));
  });
  refused("doubled", [&](Parts& p) {
    const Bytes once = aead(p);
    append(aead(p), once);
  });
  refused("all segments clear instead", [&](Parts& p) {
    aead(p).clear();
    seal::Manifest manifest = seal::parse_manifest(p.at("seal.manifest").data);
    for (seal::ManifestSegment& row : manifest.segments) row.kind = seal::SegmentKind::Clear;
    p.at("seal.manifest").data = seal::encode_manifest(manifest);
  });
}

// A broken card that knows the MEK can make segments and tags; it cannot sign.
TEST_P(Splice, ForgedWithTheMek) {
  const SecretBuffer mek = bench_.mek_value(good_);
  Parts parts = take_apart(good_);
  Bytes& descriptor = parts.at("constantsdesc.bin").data;
  descriptor[0] ^= 1;
  seal::Manifest manifest = seal::parse_manifest(parts.at("seal.manifest").data);
  seal::SegmentDigest digest(descriptor.size());
  digest.add(0, PieceDigester().digests(descriptor));
  manifest.segments[1].digest = digest.finish({});
  parts.at("seal.manifest").data = seal::encode_manifest(manifest);
  SystemRandom random;
  const MutableBytes tag = parts.at("seal.tag").data;
  seal::open_data_key(mek, random)
      ->encrypt(view(seal::kManifestText), sha256(parts.at("seal.manifest").data), tag);
  EXPECT_THAT(refusal(put_together(parts)), HasSubstr("seal.sig"));
  device::Card without = bench_.card();
  without.seal_key.reset();
  EXPECT_EQ(bench_.refusal(put_together(parts), without), "")
      << "a card without the seal key has the tag alone: that is what the signature is for";
  count_ = 1;
}

INSTANTIATE_TEST_SUITE_P(BothModes, Splice, ::testing::Values(seal::Mode::Token, seal::Mode::Envelope),
                         [](const auto& one) { return std::string(seal::to_string(one.param)); });

}  // namespace
}  // namespace qpcseal::testing
