// SPDX-License-Identifier: Apache-2.0
// Generations of a MEK, and challenges that releases used up, as the log tells of them.
#include <gtest/gtest.h>

#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::challenge_data;
using testing::HostLog;
using testing::TempFolder;

constexpr std::size_t kId = 16;  // bytes

encoding::Json key(std::uint8_t id, const std::string& label, std::uint64_t generation) {
  return {{"mek_id", to_hex(Bytes(kId, id))}, {"label", label}, {"generation", generation}};
}
encoding::Json next(std::uint8_t id, const std::string& label, std::uint64_t generation,
                    std::uint8_t replaced) {
  encoding::Json out = key(id, label, generation);
  out["replaces"] = to_hex(Bytes(kId, replaced));
  return out;
}

class Generations : public ::testing::Test {
 protected:
  void SetUp() override {
    const Txn txn = log.intent("mek-generate", key(1, "a#1", 1));
    log.result(txn, "ok", {{"mek_id", to_hex(Bytes(kId, 1))}});
  }
  TempFolder dir;
  HostLog host{dir / "log"};
  Log log = host.create();
};

TEST_F(Generations, TheNextOneIsKnownOnceItIsMade) {
  const Txn txn = log.intent("mek-rotate", next(2, "a#2", 2, 1));
  EXPECT_EQ(log.state().meks.at(Bytes(kId, 2)).state, "pending");
  log.result(txn, "ok", encoding::Json::object());
  EXPECT_EQ(log.state().meks.at(Bytes(kId, 2)).state, "ok");
  EXPECT_EQ(host.open().state().meks.size(), 2U);
}

TEST_F(Generations, ANumberMustRise) {
  EXPECT_ERROR(Malformed, "does not rise", log.intent("mek-rotate", next(2, "a#1", 1, 1)));
}

TEST_F(Generations, TheNameStays) {
  EXPECT_ERROR(Malformed, "another name", log.intent("mek-rotate", next(2, "b#2", 2, 1)));
}

TEST_F(Generations, SomethingIsReplaced) {
  EXPECT_ERROR(Malformed, "unknown MEK", log.intent("mek-rotate", next(2, "a#2", 2, 9)));
}

// What tells a release that may be finished from one that is done.
TEST_F(Generations, AChallengeKnowsItsRelease) {
  encoding::Json challenge = challenge_data(1);
  challenge["mek_id"] = to_hex(Bytes(kId, 1));
  log.event("challenge", challenge);
  const Bytes nonce = from_hex(encoding::text_member(challenge, "nonce"));
  const std::string report = to_hex(Bytes(32, 7));
  const encoding::Json intent{{"nonce", to_hex(nonce)},
                              {"mek_id", to_hex(Bytes(kId, 1))},
                              {"report_sha256", report},
                              {"ueid", "0102"},
                              {"policy", testing::genesis_data()["policy"]}};
  const Txn first = log.intent("release", intent);
  EXPECT_TRUE(log.state().open.contains(log.state().challenges.at(nonce).intent));
  EXPECT_FALSE(log.state().challenges.at(nonce).released_by);
  const Txn second =
      log.intent("release", intent);  // a later run with the same report: not the challenge's own
  log.result(second, "denied", encoding::Json::object());
  EXPECT_FALSE(log.state().challenges.at(nonce).released_by);
  log.wrapped({first}, {testing::wrapped_data()});
  EXPECT_FALSE(log.state().challenges.at(nonce).released_by);
  const std::uint64_t done = log.result(first, "ok", {{"ueid", "0102"}, {"nonce", to_hex(nonce)}});
  EXPECT_EQ(log.state().challenges.at(nonce).released_by, done);
  EXPECT_TRUE(log.state().open.empty());
}

}  // namespace
}  // namespace qpcseal::audit
