// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/known_releases.h"

#include <gtest/gtest.h>

#include "tests/base/expect_error.h"

namespace qpcseal::release {
namespace {

const Bytes kMekId(16, 7), kUeid(17, 9), kNonce(32, 3);

models::WrappedSet wrapped() {
  models::WrappedSet set{kMekId, "m#1", {}};
  set.cards.push_back(
      {"card", "", std::nullopt, kUeid, "suite", {}, 5, {Bytes(46, 1), kNonce, Bytes(65, 2)}});
  return set;
}

audit::State logged() {
  audit::State state;
  audit::MekHistory& mek = state.meks[kMekId];
  mek.id = kMekId;
  mek.label = "m#1";
  mek.generation = mek.releases = 1;
  mek.state = "ok";
  state.releases[sha256_hex(Bytes(46, 1))] = {5, kMekId, kUeid, kNonce, sha256_hex(Bytes(65, 2))};
  return state;
}

policy::Policy policy_revoking(const std::vector<Bytes>& ueids) {
  policy::Policy out;
  out.devices.resize(2);
  out.devices[1].revoked_ueids.value = ueids;
  return out;
}

TEST(KnownReleases, AcceptsWhatTheLogTellsOf) {
  EXPECT_NO_THROW(models::KnownReleases(logged(), policy_revoking({Bytes(17, 8)}), {}).require(wrapped()));
}

TEST(KnownReleases, RefusesWhatTheLogDoesNotTellOf) {
  EXPECT_ERROR(Denied, "no release", models::KnownReleases({}, policy_revoking({}), {}).require(wrapped()));
  models::WrappedSet other = wrapped();
  other.mek_id = Bytes(16, 8);
  EXPECT_ERROR(Denied, "no release", models::KnownReleases(logged(), policy_revoking({}), {}).require(other));
  other = wrapped();
  other.cards[0].slots.nonce = Bytes(32, 4);
  EXPECT_ERROR(Denied, "no release", models::KnownReleases(logged(), policy_revoking({}), {}).require(other));
  other = wrapped();
  other.cards.push_back(other.cards[0]);
  other.cards[1].slots.encrypt[30] ^= 1;
  EXPECT_ERROR(Denied, "no release", models::KnownReleases(logged(), policy_revoking({}), {}).require(other));
}

TEST(KnownReleases, RefusesRevokedCardsAndMeksThatMayNotBeUsed) {
  EXPECT_ERROR(Denied, "revoked",
               models::KnownReleases(logged(), policy_revoking({kUeid}), {}).require(wrapped()));
  policy::CollateralFacts collateral;
  collateral.revoked_ueids = {Bytes(17, 8)};
  EXPECT_NO_THROW(models::KnownReleases(logged(), policy_revoking({}), collateral).require(wrapped()));
  collateral.revoked_ueids.push_back(kUeid);
  EXPECT_ERROR(Denied, "collateral bundle revoked",
               models::KnownReleases(logged(), policy_revoking({}), collateral).require(wrapped()));
  for (const char* state : {"suspended", "destroyed", "unknown", ""}) {
    audit::State changed = logged();
    changed.meks[kMekId].state = state;
    EXPECT_ERROR(Denied, "may not be used",
                 models::KnownReleases(changed, policy_revoking({}), {}).require(wrapped()));
  }
}

}  // namespace
}  // namespace qpcseal::release
