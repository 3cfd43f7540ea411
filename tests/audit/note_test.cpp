// SPDX-License-Identifier: Apache-2.0
#include "tlog/note.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tlog/checkpoint.h"

namespace qpcseal::audit {
namespace {

using testing::HostSigner;
using testing::kOrigin;

// The published example of the format's reference implementation (golang.org/x/mod/sumdb/note); the example
// in C2SP's text comes without its key.
constexpr std::string_view kExampleKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
constexpr std::string_view kExampleText =
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n";
constexpr std::string_view kExampleSignature =
    "\n\xE2\x80\x94 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

class BothTypes : public ::testing::TestWithParam<tlog::KeyType> {};

TEST_P(BothTypes, ANoteRoundTripsAndAFlippedBitDoesNot) {
  HostSigner signer(GetParam());
  const tlog::VerifierKey key = signer.verifier(kOrigin);
  const std::string note = tlog::sign_note("one\ntwo\n", key, signer);
  EXPECT_EQ(tlog::open_note(note, key), "one\ntwo\n");
  EXPECT_EQ(tlog::VerifierKey::parse(key.text()), key);
  unsigned survived = 0;
  for (std::size_t bit = 0; bit < note.size() * 8; ++bit) {
    std::string bad = note;
    bad[bit / 8] = static_cast<char>(static_cast<unsigned char>(bad[bit / 8]) ^ (1U << (bit % 8)));
    try {
      tlog::open_note(bad, key);
      ++survived;
    } catch (const Error&) {
    }
  }
  EXPECT_EQ(survived, 0U);
}

TEST_P(BothTypes, AnotherKeyOfTheSameNameIsNotThisOne) {
  HostSigner signer(GetParam()), other(GetParam());
  const std::string note = tlog::sign_note("text\n", signer.verifier(kOrigin), signer);
  EXPECT_ERROR(LogDamaged, "not signed by", tlog::open_note(note, other.verifier(kOrigin)));
  EXPECT_ERROR(LogDamaged, "not signed by", tlog::open_note(note, signer.verifier("another")));
  EXPECT_ERROR(Token, "does not accept", tlog::sign_note("text\n", other.verifier(kOrigin), signer));
}

TEST(SignedNote, OtherShapesAreRefused) {
  HostSigner signer(tlog::KeyType::Ed25519);
  const tlog::VerifierKey key = signer.verifier(kOrigin);
  for (const char* text : {"no end", "\ntext\n", "one\n\ntwo\n"})
    EXPECT_ERROR(Internal, "shape", tlog::sign_note(text, key, signer)) << text;
  const std::string dash = "\xE2\x80\x94 ";
  for (const std::string& note :
       {"text\n" + dash + "n AAAAAAA=\n", "\n\n" + dash + "n AAAAAAA=\n", "text\n\n" + dash + "n AAAAAAA="})
    EXPECT_ERROR(Malformed, "a text, an empty line and signatures", tlog::parse_note(note)) << note;
  EXPECT_ERROR(Malformed, "does not begin with a dash", tlog::parse_note("text\n\n- n AAAAAAA=\n"));
  for (const char* line : {"nAAAAAAA=", "a+b AAAAAAA=", " AAAAAAA="})
    EXPECT_ERROR(Malformed, "without a key name", tlog::parse_note("text\n\n" + dash + line + "\n")) << line;
  EXPECT_ERROR(Malformed, "too short", tlog::parse_note("text\n\n" + dash + "n AAAAAA==\n"));
  EXPECT_EQ(tlog::parse_note("text\n\n" + dash + "n AAAAAAA=\n").signatures.size(), 1U);
}

TEST(Checkpoints, CutShortOrTooLargeAreRefused) {
  HostSigner signer(tlog::KeyType::Ed25519);
  const tlog::VerifierKey key = signer.verifier(kOrigin);
  EXPECT_ERROR(Malformed, "no origin", tlog::parse_checkpoint("origin"));
  EXPECT_ERROR(Malformed, "no size", tlog::parse_checkpoint("origin\n7"));
  EXPECT_ERROR(Malformed, "no root", tlog::parse_checkpoint("origin\n7\nAAAA"));
  std::string note = tlog::sign_checkpoint({7, sha256(view("root"))}, key, signer);
  const std::string foreign = note.substr(note.find("\n\n") + 2).insert(4, "x");
  while (note.size() <= tlog::kMaxCheckpointSize) note += foreign;
  EXPECT_ERROR(Malformed, "too large", tlog::open_checkpoint(note, key));
}

TEST_P(BothTypes, ACheckpointSaysItsSizeAndRootOnly) {
  HostSigner signer(GetParam());
  const tlog::VerifierKey key = signer.verifier(kOrigin);
  const tlog::Checkpoint checkpoint{7, sha256(view("root"))};
  const std::string note = tlog::sign_checkpoint(checkpoint, key, signer);
  EXPECT_EQ(tlog::open_checkpoint(note, key), checkpoint);
  EXPECT_EQ(tlog::claimed_origin(note), kOrigin);
  EXPECT_EQ(tlog::claimed_size(note), 7U);
  const std::string root = to_base64(checkpoint.root);
  const auto open_text = [&](const std::string& text) {
    return tlog::open_checkpoint(tlog::sign_note(text, key, signer), key);
  };
  const std::string name = kOrigin;
  EXPECT_EQ(open_text(name + "\n7\n" + root + "\n"), checkpoint);
  EXPECT_ERROR(LogDamaged, "another log", open_text("other\n7\n" + root + "\n"));
  for (const std::string size : {"07", "+7", "-7", " 7", "7 ", "0x7", "99999999999999999999"})
    EXPECT_ERROR(Malformed, "not a decimal number", open_text(name + "\n" + size + "\n" + root + "\n"));
  EXPECT_ERROR(Malformed, "extension lines", open_text(name + "\n7\n" + root + "\nextension\n"));
  EXPECT_ERROR(Malformed, "not of 32 bytes", open_text(name + "\n7\n" + root.substr(4) + "\n"));
  EXPECT_ERROR(Malformed, "no root", open_text(name + "\n7\n"));
}

INSTANTIATE_TEST_SUITE_P(Keys, BothTypes,
                         ::testing::Values(tlog::KeyType::Ed25519, tlog::KeyType::EcdsaP256));

TEST(SignedNote, ThePublishedExampleVerifies) {
  const tlog::VerifierKey key = tlog::VerifierKey::parse(kExampleKey);
  EXPECT_EQ(key.name(), "PeterNeumann");
  EXPECT_EQ(key.text(), kExampleKey);
  const std::string note = std::string(kExampleText) + std::string(kExampleSignature);
  EXPECT_EQ(tlog::open_note(note, key), kExampleText);
  std::string other = note;
  other[0] = 'i';
  EXPECT_ERROR(LogDamaged, "does not verify", tlog::open_note(other, key));
}

TEST(VerifierKeys, BadOnesAreRefused) {
  HostSigner signer(tlog::KeyType::Ed25519);
  const std::string good = signer.verifier("name").text();
  for (const char* bad : {"", "name", "name+00000000"})
    EXPECT_ERROR(Malformed, "name+id+key", tlog::VerifierKey::parse(bad)) << bad;
  EXPECT_ERROR(Malformed, "unknown type", tlog::VerifierKey::parse("name+00000000+"));
  EXPECT_ERROR(Malformed, "unknown type", tlog::VerifierKey::parse("name+00000000+Aw=="));
  EXPECT_ERROR(Malformed, "id", tlog::VerifierKey::parse("other" + good.substr(4)));
  EXPECT_ERROR(Malformed, "not a public key of the type", tlog::VerifierKey::parse(good + "AAAA"));
  EXPECT_ERROR(Malformed, "bad name",
               tlog::VerifierKey("two words", tlog::KeyType::Ed25519, signer.public_key()));
  EXPECT_ERROR(Malformed, "not a public key of the type",
               tlog::VerifierKey("name", tlog::KeyType::EcdsaP256, signer.public_key()));
  EXPECT_ERROR(Malformed, "not a public key of the type",
               tlog::VerifierKey("name", tlog::KeyType::Ed25519, Bytes(31)));
}

TEST(SignedNote, SignaturesOfOthersArePassedOverUpToSixteenLines) {
  HostSigner signer(tlog::KeyType::Ed25519), other(tlog::KeyType::EcdsaP256);
  const tlog::VerifierKey key = signer.verifier(kOrigin);
  const std::string note = tlog::sign_note("text\n", key, signer);
  const std::string foreign = tlog::sign_note("text\n", other.verifier("witness"), other).substr(6);
  std::string many = note;
  for (int i = 0; i < 15; ++i) many += foreign;
  EXPECT_EQ(tlog::open_note(many, key), "text\n");
  EXPECT_ERROR(Malformed, "too many", tlog::open_note(many + foreign, key));
  EXPECT_ERROR(Malformed, "twice", tlog::open_note(note + note.substr(6), key));
  EXPECT_ERROR(Malformed, "not a text, an empty line and signatures", tlog::open_note("text\n", key));
  EXPECT_ERROR(Malformed, "not a text, an empty line and signatures",
               tlog::open_note(note.substr(0, note.size() - 1), key));
}

}  // namespace
}  // namespace qpcseal::audit
