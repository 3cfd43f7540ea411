// SPDX-License-Identifier: Apache-2.0
// Containers, sealed segments, manifest, tag, signature and slots: what C++ writes is what is frozen, and
// what is frozen opens, but not with any byte changed.
#include <gtest/gtest.h>

#include "appliance/seal/format.h"
#include "appliance/seal/layout.h"
#include "appliance/seal/manifest.h"
#include "appliance/seal/sealer.h"
#include "appliance/seal/slots.h"
#include "base/digest.h"
#include "device/loader/crypto.h"
#include "qpc/container.h"
#include "tests/frozen/frozen.h"

namespace qpcseal::testing {
namespace {

std::vector<PlainSegment> segments_of(const json& list) {
  std::vector<PlainSegment> out;
  for (const json& s : list) out.push_back({s.at("name"), s.at("offset"), hex(s.at("data"))});
  return out;
}

TEST(PlainContainer, ReadsAndWritesTheFrozenOnes) {
  for (const json& c : cases_of("plain_container")) {
    const Bytes frozen = hex(c.at("expected").at("container"));
    const auto wanted = segments_of(c.at("inputs").at("segments"));
    const Fd file = file_of(frozen);
    const qpc::Container container = qpc::Container::read(file);
    EXPECT_EQ(std::to_string(container.base()), c.at("inputs").at("base").get<std::string>());
    ASSERT_EQ(container.segments().size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const qpc::Segment& segment = container.segments()[i];
      EXPECT_EQ(segment.name, wanted[i].name);
      EXPECT_EQ(segment.offset, wanted[i].offset);
      EXPECT_EQ(copy(ByteView(frozen).subspan(segment.data_position, segment.size)), wanted[i].data);
    }
    if (c.at("inputs").at("align") == 1) {
      EXPECT_EQ(contents(plain_file(wanted)), frozen);
    }
  }
}

// Byte i is (i + i / 256) mod 256, as the vectors say.
Bytes ramp(std::size_t size) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i + i / 256);
  return out;
}

seal::SealOptions options_of(const json& in, std::vector<std::string> segments) {
  seal::SealOptions options;
  options.mode = static_cast<seal::Mode>(in.at("mode").get<unsigned>());
  options.segments = std::move(segments);
  options.created = in.value("created", UnixTime{1});
  options.model_name = in.value("model", "m");
  options.model_version = in.value("model_version", std::uint64_t{0});
  options.chunk_log2 = in.at("log2_chunk");
  options.threads = 1;
  return options;
}

void check_segment(const json& c) {
  const json &in = c.at("inputs"), &out = c.at("expected");
  std::deque<Bytes> values{hex(in.at("seal_id"))};
  if (in.contains("data_key"))
    values.insert(values.end(), {hex(in.at("data_key")), hex(in.at("data_key_iv"))});
  for (const json& iv : in.at("chunk_ivs")) values.push_back(hex(iv));
  values.push_back(Bytes(12, 1));  // of the tag
  GivenRandom random(std::move(values));
  GivenKey key(hex(in.at("mek")), hex(in.at("mek_id")), random);
  GivenSigner signer(KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")));
  const std::string name = in.at("name");
  const Fd plain = plain_file({{name, 0, ramp(in.at("size"))}}), sealed = file_of({});
  seal::SealOptions options = options_of(in, {name});
  if (!in.at("clear").empty()) options.clear[name] = ranges_of(in.at("clear"));
  seal::seal(plain, qpc::Container::read(plain), options, key, signer, random, sealed);
  EXPECT_TRUE(random.used_up());
  const seal::SealedContainer container = seal::SealedContainer::read(sealed);
  const Bytes file = contents(sealed);
  const auto bytes_of = [&](std::size_t row) {
    const qpc::Segment& segment = container.layout().segments[row];
    return copy(ByteView(file).subspan(segment.data_position, segment.size));
  };
  const Bytes stored = bytes_of(0), part = bytes_of(1);
  EXPECT_EQ(part, hex(out.at("part")));
  EXPECT_EQ(copy(sha256(stored)), hex(out.at("stored_sha256")));
  if (out.contains("stored")) {
    EXPECT_EQ(stored, hex(out.at("stored")));
  }
  EXPECT_EQ(copy(seal::parse_manifest(container.manifest()).segments[0].digest), hex(out.at("digest")));
  const seal::SegmentHeader header = seal::parse_front(part);
  EXPECT_EQ(seal::chunk_aad(ByteView(part).first(seal::kHeaderSize), name, header.last_sealed_chunk(), true),
            hex(out.at("last_chunk_aad")));
}

TEST(SealedSegment, IsMadeByteForByte) {
  unsigned count = 0;
  for (const json& c : cases_of("sealed_segment")) {
    SCOPED_TRACE(c.at("name").get<std::string>());
    check_segment(c);
    ++count;
  }
  EXPECT_GE(count, 22U);
}

seal::Manifest manifest_of(const json& in) {
  seal::Manifest out{hex(in.at("seal_id")), hex(in.at("mek_id")),   in.at("created"),
                     in.at("model"),        in.at("model_version"), hex(in.at("root")),
                     in.at("index"),        in.at("count"),         {}};
  for (const json& e : in.at("entries")) {
    const Bytes digest = hex(e.at("digest"));
    seal::ManifestSegment segment{e.at("name"),
                                  e.at("size"),
                                  e.at("offset"),
                                  static_cast<seal::SegmentKind>(e.at("kind").get<unsigned>()),
                                  {},
                                  ranges_of(e.at("clear"))};
    std::ranges::copy(digest, segment.digest.begin());
    out.segments.push_back(std::move(segment));
  }
  return out;
}

TEST(Manifest, IsMadeAndReadByteForByte) {
  for (const json& c : cases_of("manifest")) {
    SCOPED_TRACE(c.at("name").get<std::string>());
    const Bytes frozen = hex(c.at("expected").at("manifest"));
    const seal::Manifest manifest = manifest_of(c.at("inputs"));
    EXPECT_EQ(seal::encode_manifest(manifest), frozen);
    EXPECT_EQ(copy(sha256(frozen)), hex(c.at("expected").at("manifest_sha256")));
    sweep(frozen, [&](const Bytes& bytes) { return seal::parse_manifest(bytes) == manifest; });
  }
}

TEST(TagAndSignature, AreTheFrozenOnes) {
  for (const json& c : cases_of("tag_and_signature")) {
    SCOPED_TRACE(c.at("name").get<std::string>());
    const json &in = c.at("inputs"), &out = c.at("expected");
    const Sha256Digest digest = sha256(hex(in.at("manifest")));
    GivenRandom random({hex(in.at("tag_iv"))});
    GivenKey key(hex(in.at("mek")), Bytes(16), random);
    Bytes tag(seal::kTagSegmentSize);
    key.open_worker()->encrypt(view(seal::kManifestText), digest, tag);
    EXPECT_EQ(tag, hex(out.at("seal_tag")));
    sweep(tag, [&](const Bytes& bytes) {
      Bytes plain(digest.size());
      return device::open_gcm(hex(in.at("mek")), view(seal::kManifestText), bytes, plain) &&
             equal(plain, digest);
    });
    const Bytes message = seal::seal_message(digest);
    EXPECT_EQ(message, hex(out.at("signed_bytes")));
    const KeyPtr verifier = public_key(in.at("seal_public_key"));
    const Bytes signature = hex(out.at("seal_sig"));
    sweep(signature, [&](const Bytes& bytes) { return device::verify_seal(verifier.get(), message, bytes); });
    sweep(message, [&](const Bytes& bytes) { return device::verify_seal(verifier.get(), bytes, signature); });
    if (EVP_PKEY_is_a(verifier.get(), "ED25519") == 1) {
      EXPECT_EQ(GivenSigner(private_key(in.at("seal_private_key"))).sign(message), signature);
    }
  }
}

TEST(Slots, AreMadeAndReadByteForByte) {
  for (const json& c : cases_of("slots")) {
    SCOPED_TRACE(c.at("name").get<std::string>());
    const json& in = c.at("inputs");
    const seal::Slots slots{hex(in.at("mek_encrypt")), hex(in.at("mek_nonce")), hex(in.at("mek_pub"))};
    const Bytes page = hex(c.at("expected").at("page"));
    if (slots.encrypt.empty()) {
      sweep(page, [](const Bytes& bytes) { return !seal::parse_slots(bytes).has_value(); });
      continue;
    }
    EXPECT_EQ(seal::encode_slots(slots), page);
    sweep(page, [&](const Bytes& bytes) { return seal::parse_slots(bytes) == slots; });
  }
}

}  // namespace
}  // namespace qpcseal::testing
