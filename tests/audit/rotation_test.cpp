// SPDX-License-Identifier: Apache-2.0
// The log's key gives way to another: at every moment one key is the log's, and the first leads to the last.
#include <gtest/gtest.h>

#include "appliance/audit/log.h"
#include "appliance/audit/receipt.h"
#include "base/error.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::challenge_data;
using testing::HostLog;
using testing::HostSigner;
using testing::read_text;
using testing::write_text;

struct Rotated : public ::testing::TestWithParam<tlog::KeyType> {
  // Challenge 1, rotation to the second key, challenge 2, rotation to the third, challenge 3.
  void SetUp() override {
    {
      Log log = host.create();
      log.event("challenge", challenge_data(1));
      log.rotate(log.intent("rotate-key", {{"label", "two"}}), second);
      EXPECT_EQ(log.key(), second.verifier(testing::kOrigin));
      log.event("challenge", challenge_data(2));
    }
    std::swap(host.signer, second);  // now `second` holds the first key
    {
      Log log = host.open();
      log.rotate(log.intent("rotate-key", {{"label", "three"}}), third);
      log.event("challenge", challenge_data(3));
    }
    std::swap(host.signer, third);  // and `third` the second
  }
  [[nodiscard]] tlog::VerifierKey first() const { return second.verifier(testing::kOrigin); }
  [[nodiscard]] tlog::VerifierKey middle() const { return third.verifier(testing::kOrigin); }
  [[nodiscard]] tlog::VerifierKey last() const { return host.signer.verifier(testing::kOrigin); }

  testing::TempFolder temp;
  HostLog host{temp / "log", GetParam()};
  HostSigner second{GetParam()}, third{GetParam()};
};

TEST_P(Rotated, TheFirstKeyLeadsToTheLast) {
  for (const Check check : {Check::Everything, Check::Proofs}) {
    const LogCopy copy = read_log(host.dir, first(), check);
    EXPECT_EQ(copy.key, last());
    ASSERT_EQ(copy.state.log_keys.size(), 3U);
    EXPECT_EQ(copy.state.log_keys[1].vkey, middle().text());
  }
  EXPECT_ERROR(Denied, "another key", read_log(host.dir, middle()));
  EXPECT_EQ(host.open().state().challenges.size(), 3U);
}

TEST_P(Rotated, AnOldKeyNoLongerOpensTheLog) {
  std::swap(host.signer, second);
  EXPECT_ERROR(LogDamaged, "another key", host.open());
}

TEST_P(Rotated, AReceiptIsCheckedWithAnyOfTheKeys) {
  const LogCopy copy = read_log(host.dir, first());
  for (std::uint64_t seq = 0; seq < copy.checkpoint.size; ++seq) {
    const std::string receipt = make_receipt(copy, seq);
    for (const tlog::VerifierKey& key : {first(), middle(), last()})
      EXPECT_EQ(check_receipt(receipt, key).entry.seq, seq) << key.text();
    HostSigner stranger(GetParam());
    EXPECT_ERROR(LogDamaged, "not signed by ", check_receipt(receipt, stranger.verifier(testing::kOrigin)));
  }
}

// Somebody with another key writes a rotation of his own into a receipt.
TEST_P(Rotated, ARotationThatTheKeyDidNotSignIsRefused) {
  const LogCopy copy = read_log(host.dir, first());
  encoding::Json receipt = encoding::Json::parse(make_receipt(copy, 1));
  HostSigner thief(GetParam());
  const tlog::VerifierKey stolen = thief.verifier(testing::kOrigin);
  Entry entry = parse_entry(receipt["rotations"][0]["entry"].get<std::string>());
  entry.data["log_key"] = stolen.text();
  receipt["rotations"] = {{{"index", 3}, {"entry", encode_entry(entry)}, {"proof", encoding::Json::array()}}};
  receipt["checkpoint"] = tlog::sign_checkpoint(copy.checkpoint, stolen, thief);
  EXPECT_ERROR(LogDamaged, "did not sign", check_receipt(encoding::canonical(receipt), first()));
  entry.data["signature"] = to_base64(thief.sign(rotation_message(stolen)));
  receipt["rotations"][0]["entry"] = encode_entry(entry);
  EXPECT_ERROR(LogDamaged, "did not sign", check_receipt(encoding::canonical(receipt), first()));
}

// What the key signed says who follows it, and by which name.
TEST(Rotations, OfAnotherNameOrAfterAnotherKeyAreRefused) {
  HostSigner first(tlog::KeyType::Ed25519), second(tlog::KeyType::Ed25519);
  const tlog::VerifierKey key = first.verifier("log.test");
  const auto rotation = [&](const tlog::VerifierKey& next, const tlog::VerifierKey& previous) {
    Entry entry;
    entry.data = {{"log_key", next.text()},
                  {"previous", previous.text()},
                  {"signature", to_base64(first.sign(rotation_message(next)))}};
    return entry;
  };
  const tlog::VerifierKey next = second.verifier("log.test"), other = second.verifier("other.test");
  EXPECT_EQ(rotated_key(rotation(next, key), key), next);
  EXPECT_ERROR(LogDamaged, "did not sign", rotated_key(rotation(other, key), key));
  EXPECT_ERROR(LogDamaged, "did not sign", rotated_key(rotation(next, next), key));
}

// A rotation that is signed but stands in no log.
TEST_P(Rotated, ARotationOutsideTheLogIsRefused) {
  const LogCopy copy = read_log(host.dir, first());
  encoding::Json receipt = encoding::Json::parse(make_receipt(copy, 1));
  receipt["rotations"][0]["proof"] = encoding::Json::array();
  EXPECT_ERROR(LogDamaged, "not in the log", check_receipt(encoding::canonical(receipt), first()));
  receipt["rotations"] = encoding::Json::array();
  EXPECT_ERROR(LogDamaged, "not signed by", check_receipt(encoding::canonical(receipt), first()));
  EXPECT_EQ(check_receipt(encoding::canonical(receipt), last()).entry.seq, 1U)
      << "who has the last key needs none";
}

// Cut short at any line: the key before is still the log's, and may go on.
TEST_P(Rotated, ARotationWithoutItsCheckpointDidNotHappen) {
  const testing::TempFolder other;
  HostLog cut(other / "log", GetParam());
  HostSigner next(GetParam());
  {
    Log log = cut.create();
    const Txn txn = log.intent("rotate-key", {{"label", "two"}});
    const std::string note = log.checkpoint();
    const AnchorState anchor = *cut.anchor.state;
    log.rotate(txn, next);
    write_text(cut.dir / "checkpoint", note);
    cut.anchor.state = anchor;
  }
  Log log = cut.open();
  EXPECT_EQ(log.key(), cut.signer.verifier(testing::kOrigin));
  EXPECT_EQ(log.state().quarantined.size(), 1U);
  EXPECT_EQ(log.state().open.size(), 1U) << "to be closed as unknown";
}

INSTANTIATE_TEST_SUITE_P(Keys, Rotated, ::testing::Values(tlog::KeyType::Ed25519, tlog::KeyType::EcdsaP256));

}  // namespace
}  // namespace qpcseal::audit
