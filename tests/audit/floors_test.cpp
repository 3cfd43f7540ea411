// SPDX-License-Identifier: Apache-2.0
// Security versions that releases demanded: they rise with the log and never fall.
#include <gtest/gtest.h>

#include "appliance/audit/state.h"
#include "tests/base/expect_error.h"

namespace qpcseal::audit {
namespace {

const Bytes kFloorMek(16, 0x4d);

// A log in which one MEK was made; releases follow.
class Floors : public ::testing::Test {
 protected:
  State state;

  void SetUp() override {
    MekHistory mek;
    mek.id = kFloorMek;
    mek.label = "m#1";
    mek.state = "ok";
    state.meks[kFloorMek] = mek;
    state.policy_digest = to_hex(Bytes(32, 5));
    state.size = 1;  // as after genesis
    state.last_time = 1'800'000'000;
  }

  void append(Phase phase, const std::string& outcome, std::optional<std::uint64_t> intent,
              encoding::Json data) {
    Entry entry;
    entry.seq = state.size;
    entry.time = 1'800'000'000;
    entry.kind = "release";
    entry.phase = phase;
    entry.txn = "t";
    entry.outcome = outcome;
    entry.intent = intent;
    entry.data = std::move(data);
    state.apply(entry);
  }

  // Of a challenge of its own.
  encoding::Json begun() {
    Challenge challenge;
    challenge.nonce = Bytes(32, static_cast<std::uint8_t>(state.size));
    challenge.mek_id = kFloorMek;
    const std::string nonce = to_hex(challenge.nonce);
    state.challenges.emplace(from_hex(nonce), std::move(challenge));
    return {{"nonce", nonce},
            {"mek_id", to_hex(kFloorMek)},
            {"report_sha256", to_hex(Bytes(32, 2))},
            {"ueid", "01aabbccddeeff"},
            {"policy", {{"digest", to_hex(Bytes(32, 5))}, {"serial", 1}}}};
  }
  static encoding::Json wrapped(encoding::Json floors, encoding::Json crls) {
    return {{"wrapped_sha256", to_hex(Bytes(32, 3))},
            {"pub_sha256", to_hex(Bytes(32, 4))},
            {"raised", {{"svn_floors", std::move(floors)}, {"crls", std::move(crls)}}}};
  }

  void release(const std::string& outcome, encoding::Json floors,
               encoding::Json crls = encoding::Json::array()) {
    const std::uint64_t intent = state.size;
    append(Phase::Intent, "", std::nullopt, begun());
    append(Phase::Wrapped, "", intent, wrapped(std::move(floors), std::move(crls)));
    append(Phase::Result, outcome, intent, encoding::Json::object());
  }
  void end_before_the_wrap(const std::string& outcome) {
    const std::uint64_t intent = state.size;
    append(Phase::Intent, "", std::nullopt, begun());
    append(Phase::Result, outcome, intent, encoding::Json::object());
  }

  static encoding::Json floor(const std::string& name, std::uint64_t svn) {
    return {{"scheme", "eat-card"}, {"hwmodel", "c0de"}, {"name", name}, {"svn", svn}};
  }
  [[nodiscard]] std::uint64_t least(const std::string& name) const {
    const auto found = state.svn_floors.find({"eat-card", from_hex("c0de"), name});
    return found == state.svn_floors.end() ? 0 : found->second;
  }
};

TEST_F(Floors, RiseWithReleasesAndNeverFall) {
  release("ok", encoding::Json::array({floor("boot", 4), floor("nsp/firmware", 2)}));
  EXPECT_EQ(least("boot"), 4U);
  EXPECT_EQ(least("nsp/firmware"), 2U);
  release("ok", encoding::Json::array({floor("boot", 3)}));
  EXPECT_EQ(least("boot"), 4U);
  release("ok", encoding::Json::array({floor("boot", 7)}));
  EXPECT_EQ(least("boot"), 7U);
  release("ok", encoding::Json::array());
  EXPECT_EQ(least("boot"), 7U);
  EXPECT_EQ(state.card_releases.at(from_hex("01aabbccddeeff")), 4U);
}

TEST_F(Floors, RevocationListsOnlyRiseToo) {
  const auto see = [&](const char* number) {
    release("ok", encoding::Json::array(), encoding::Json::array({{{"issuer", "3000"}, {"number", number}}}));
    return to_hex(state.crl_numbers.at(from_hex("3000")));
  };
  EXPECT_EQ(see(""), "");
  EXPECT_EQ(see("ff"), "ff");
  EXPECT_EQ(see("fe"), "ff");
  EXPECT_EQ(see("0100"), "0100");
  EXPECT_EQ(see("ff"), "0100");
  EXPECT_ERROR(Malformed, "leading zeros", see("00ff"));
}

TEST_F(Floors, RiseWithWhatMayHaveBeenReleased) {
  release("unknown", encoding::Json::array({floor("boot", 9)}));
  EXPECT_EQ(least("boot"), 9U);
  EXPECT_EQ(state.card_releases.at(from_hex("01aabbccddeeff")), 1U);
}

TEST_F(Floors, StayWhereNothingWasWrapped) {
  end_before_the_wrap("denied");
  end_before_the_wrap("failed");
  EXPECT_TRUE(state.svn_floors.empty());
  EXPECT_TRUE(state.card_releases.empty());
}

TEST_F(Floors, OfOtherShapesAreRefused) {
  EXPECT_ERROR(Malformed, "no list", release("ok", floor("boot", 1)));
  encoding::Json without = floor("boot", 1);
  without.erase("svn");
  EXPECT_ERROR(Malformed, "svn", release("ok", encoding::Json::array({without})));
}

}  // namespace
}  // namespace qpcseal::audit
