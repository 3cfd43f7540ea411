// SPDX-License-Identifier: Apache-2.0
// Challenges in the log, and their requests as a courier carries them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "appliance/keys/mek.h"
#include "appliance/release/challenge.h"
#include "appliance/release/courier_batch.h"
#include "tests/base/expect_error.h"
#include "tests/support/appliance_fixture.h"

namespace qpcseal::release {
namespace {

using qpcseal::testing::DemoAppliance;
using ::testing::ElementsAre;

class Requests : public ::testing::Test {
 protected:
  // Lets go of the token, for other suites of this process.
  static void TearDownTestSuite() { demo().close(); }
  static DemoAppliance& demo() {
    static DemoAppliance one;
    return one;
  }
  site::Appliance& appliance = demo().open();
  keys::Mek mek{{}, "net#1", "net", 1, Bytes(16, 7)};
  [[nodiscard]] std::uint64_t size() const { return appliance.log().state().size; }
};

TEST_F(Requests, AreInTheLogEachWithANonceOfItsOwn) {
  const std::uint64_t before = size();
  const auto requests =
      make_requests(appliance, mek, {{demo().card.ueid, "", std::nullopt}, {std::nullopt, "h1", 3}});
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(size(), before + 2);
  EXPECT_NE(requests[0].nonce, requests[1].nonce);
  const auto& challenges = appliance.log().state().challenges;
  for (const attest::Request& request : requests) {
    const audit::Challenge known = challenges.find(request.nonce)->second;
    EXPECT_EQ(known.mek_id, mek.id);
    EXPECT_EQ(known.expires, request.expiry);
    EXPECT_EQ(known.expires, demo().clock.time + 24 * 3600) << "the policy's challenge_lifetime";
    EXPECT_FALSE(known.consumed);
  }
  EXPECT_EQ(challenges.find(requests[0].nonce)->second.ueid, demo().card.ueid);
  const audit::Challenge placed = challenges.find(requests[1].nonce)->second;
  EXPECT_EQ(placed.host, "h1");
  EXPECT_EQ(placed.device, 3U);
}

TEST_F(Requests, GoWithABatchThatNamesTheirReports) {
  const auto dir = demo().folder / "trip";
  const auto stops = card_addresses({"h1", "fe80::1"}, {0});
  const CourierBatch trip = prepare_trip(appliance, mek, stops, kSessionPort, dir, Existing::Refuse);
  EXPECT_THAT(trip.requests, ElementsAre("h1-0.request", "fe80__1-0.request"));
  EXPECT_EQ(testing::read_text(dir / kBatchName),
            "h1 62473 0 h1-0.request h1-0.report\nfe80::1 62473 0 fe80__1-0.request fe80__1-0.report\n");
  for (const std::string& name : trip.requests) EXPECT_TRUE(std::filesystem::exists(dir / name)) << name;
  const std::uint64_t before = size();
  EXPECT_ERROR(Io, "h1-0.request exists", prepare_trip(appliance, mek, stops, 1, dir, Existing::Refuse));
  EXPECT_ERROR(Io, "batch exists",
               prepare_trip(appliance, mek, card_addresses({"h2"}, {0}), 1, dir, Existing::Refuse));
  EXPECT_EQ(size(), before) << "nothing was logged";
  EXPECT_NO_THROW(prepare_trip(appliance, mek, stops, 1, dir, Existing::Replace));
}

}  // namespace
}  // namespace qpcseal::release
