// SPDX-License-Identifier: Apache-2.0
#include "tlog/cosignature.h"

#include <gtest/gtest.h>

#include "appliance/audit/log.h"
#include "base/error.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::HostLog;
using testing::HostSigner;

constexpr const char* kName = "witness.test/w1";

struct TestWitness {
  HostSigner signer{tlog::KeyType::Ed25519};
  [[nodiscard]] std::string blob_id() const {
    Bytes input;
    append(input, std::string(kName) + "\n\x04");
    append(input, signer.public_key());
    const Sha256Digest digest = sha256(input);
    return to_hex(ByteView(digest).first(4));
  }
  [[nodiscard]] std::string vkey() const {
    Bytes blob{4};
    append(blob, signer.public_key());
    return std::string(kName) + "+" + blob_id() + "+" + to_base64(blob);
  }
  std::string cosign(const std::string& note, UnixTime time) {
    const std::string text = note.substr(0, note.find("\n\n") + 1);
    Bytes blob = from_hex(blob_id());
    append_be(blob, static_cast<std::uint64_t>(time), 8);
    append(blob, signer.sign(view("cosignature/v1\ntime " + std::to_string(time) + "\n" + text)));
    return note + "\xE2\x80\x94 " + kName + " " + to_base64(blob) + "\n";
  }
};

TEST(Witness, ACosignedCheckpointVerifiesAndNoChangedOneDoes) {
  HostSigner log(tlog::KeyType::Ed25519);
  TestWitness witness;
  const tlog::Checkpoint checkpoint{7, sha256(view("root"))};
  const std::string note = tlog::sign_checkpoint(checkpoint, log.verifier("log.test"), log);
  const std::string cosigned = witness.cosign(note, 1800000000);
  const tlog::WitnessKey key = tlog::WitnessKey::parse(witness.vkey());
  EXPECT_EQ(key.text(), witness.vkey());
  const tlog::Cosigned seen = tlog::open_cosigned(cosigned, key);
  EXPECT_EQ(seen.checkpoint, checkpoint);
  EXPECT_EQ(seen.origin, "log.test");
  EXPECT_EQ(seen.time, 1800000000);
  EXPECT_EQ(tlog::open_checkpoint(cosigned, log.verifier("log.test")), checkpoint)
      << "the log's signature is there too";
  EXPECT_ERROR(LogDamaged, "not cosigned", tlog::open_cosigned(note, key));
  EXPECT_ERROR(LogDamaged, "not cosigned",
               tlog::open_cosigned(cosigned, tlog::WitnessKey::parse(TestWitness().vkey())));
  const std::size_t own = cosigned.find(kName);
  unsigned survived = 0;
  for (std::size_t bit = 0; bit < cosigned.size() * 8; ++bit) {
    if (bit / 8 > note.find("\n\n") && bit / 8 < own) continue;  // the log's own signature is another check
    std::string bad = cosigned;
    bad[bit / 8] = static_cast<char>(static_cast<unsigned char>(bad[bit / 8]) ^ (1U << (bit % 8)));
    try {
      tlog::open_cosigned(bad, key);
      ++survived;
    } catch (const Error&) {
    }
  }
  EXPECT_EQ(survived, 0U);
}

TEST(Witness, BadKeysAreRefused) {
  const std::string good = TestWitness().vkey();
  for (const std::string& bad : {std::string(), std::string("name"), "other" + good, good + "AAAA",
                                 HostSigner(tlog::KeyType::Ed25519).verifier("name").text()})
    EXPECT_ERROR(Malformed, "key", tlog::WitnessKey::parse(bad)) << bad;
  for (const char* bad : {"", "name", "name+00000000"})
    EXPECT_ERROR(Malformed, "name+id+key", tlog::WitnessKey::parse(bad)) << bad;
  for (const char* bad : {"name+00000000+", "name+00000000+AQ=="})
    EXPECT_ERROR(Malformed, "type 0x04", tlog::WitnessKey::parse(bad)) << bad;
}

TEST(Witness, CosignaturesOfOtherShapesAreRefused) {
  HostSigner log(tlog::KeyType::Ed25519);
  TestWitness witness;
  const tlog::WitnessKey key = tlog::WitnessKey::parse(witness.vkey());
  const std::string note = tlog::sign_checkpoint({7, sha256(view("root"))}, log.verifier("log.test"), log);
  const auto with = [&](const Bytes& signature) {
    Bytes blob = from_hex(witness.blob_id());
    append(blob, signature);
    return note + "\xE2\x80\x94 " + kName + " " + to_base64(blob) + "\n";
  };
  for (const std::size_t size : {1U, 64U, 71U, 73U})
    EXPECT_ERROR(Malformed, "another size", tlog::open_cosigned(with(Bytes(size, 0)), key)) << size;
  Bytes late(72, 0);
  late[0] = 0x80;
  EXPECT_ERROR(Malformed, "time out of range", tlog::open_cosigned(with(late), key));
  std::string large = witness.cosign(note, 1);
  while (large.size() <= tlog::kMaxCheckpointSize) large += note.substr(note.find("\n\n") + 2);
  EXPECT_ERROR(Malformed, "too large", tlog::open_cosigned(large, key));
}

struct WitnessedLog : public ::testing::Test {
  WitnessedLog() {
    Log log = host.create();
    early = log.checkpoint();
    log.event("challenge", testing::challenge_data(1));
    log.event("witness-key", {{"vkey", witness.vkey()}, {"trusted", true}});
    now = log.checkpoint();
  }
  std::uint64_t put(const std::string& note) {
    return host.open().event("witness", {{"vkey", witness.vkey()}, {"note", note}});
  }
  testing::TempFolder temp;
  HostLog host{temp / "log"};
  TestWitness witness;
  std::string early, now;
};

TEST_F(WitnessedLog, RemembersWhatAWitnessSaw) {
  put(witness.cosign(now, 1800000000));
  const LogCopy copy = read_log(host.dir, std::nullopt);
  ASSERT_TRUE(copy.state.witnessed.contains(witness.vkey()));
  EXPECT_EQ(copy.state.witnessed.at(witness.vkey()).size, 3U);
  EXPECT_EQ(copy.state.witnessed.at(witness.vkey()).root, to_hex(copy.tree.root(3)));
  EXPECT_ERROR(Malformed, "older than its last", put(witness.cosign(early, 1800000001)));
}

TEST_F(WitnessedLog, RefusesWhatDoesNotCount) {
  TestWitness stranger;
  EXPECT_ERROR(LogDamaged, "not cosigned", put(stranger.cosign(now, 1)));
  const auto as = [&](const std::string& origin, std::uint64_t size) {
    return witness.cosign(
        tlog::sign_checkpoint({size, sha256({})}, host.signer.verifier(origin), host.signer), 1);
  };
  EXPECT_ERROR(Malformed, "another log", put(as("other.test", 2)));
  EXPECT_ERROR(Malformed, "not there", put(as(testing::kOrigin, 4)));
  EXPECT_ERROR(Malformed, "not there", put(as(testing::kOrigin, 0)));
  host.open().event("witness-key", {{"vkey", witness.vkey()}, {"trusted", false}});
  EXPECT_ERROR(Malformed, "not trusted", put(witness.cosign(now, 1)));
}

// Whoever has the log's key could rewrite it; what the witness saw gives him away.
TEST_F(WitnessedLog, ARecordedRootThatIsNotTheTreesIsDamage) {
  const auto other = tlog::sign_checkpoint({2, sha256(view("another history"))},
                                           host.signer.verifier(testing::kOrigin), host.signer);
  put(witness.cosign(other, 1));
  EXPECT_ERROR(LogDamaged, "not those that", read_log(host.dir, std::nullopt));
}

}  // namespace
}  // namespace qpcseal::audit
