// SPDX-License-Identifier: Apache-2.0
// What a wrap leaves in the log, and a release that was cut short behind it.
#include "appliance/release/grant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/models/wrap_mek.h"
#include "appliance/release/consumption.h"
#include "tests/base/temp_folder.h"
#include "tests/release/judged.h"

namespace qpcseal::release {
namespace {

using ::testing::IsEmpty;

keys::WrappedMek wrapped_by(std::uint8_t fill) {
  return {keys::Suite::EcdhX963, Bytes(46, fill), Bytes(32, fill), Bytes(65, fill)};
}

Grant grant_of(keys::WrappedMek wrapped) {
  Grant out;
  out.wrapped = std::move(wrapped);
  return out;
}

class Wrapped : public ::testing::Test {
 protected:
  testing::TempFolder folder;
  site::Home home{folder.path()};
  testing::TestCard card;
  testing::PolicyFixture desk = testing::desk_for(card);
  Report report{"report", card.report(), sha256(card.report())};
  ReleaseItem item;
  keys::Mek mek{{}, "resnet50#1", "resnet50", 1, desk.mek_id};

  Wrapped() {
    item.report = &report;
    item.verified = verify_attestation(report, desk.policy, desk.trust, desk.now);
    item.verdict = judge({desk.policy, desk.state, desk.now, {}, desk.mek_id, 1},
                         challenge_facts(desk.state, card.nonce, report), item.verified);
  }
  // The release of this report, open since an earlier run.
  void open_release(const encoding::Json& wrapped) { desk.open_release(report.digest, wrapped); }
  [[nodiscard]] keys::WrappedMek wrap(std::uint8_t fill) const {
    keys::WrappedMek out = wrapped_by(fill);
    out.nonce = card.nonce;
    return out;
  }
  // What a run that was killed behind the wrap left in the home.
  void keep(const keys::WrappedMek& wrap) {
    site::PendingWraps pending(home, desk.state);
    pending.prepare({{report.digest, wrap}});
    pending.keep();
  }
  const Findings& obstacle() {
    item.obstacle.clear();
    look_up_challenges(desk.state, {&item});
    find_lost_wraps(site::PendingWraps(home, desk.state), policy::kOwnFormat, {&item});
    return item.obstacle;
  }
};

TEST_F(Wrapped, IsLoggedByItsDigests) {
  const encoding::Json data = wrapped_data(mek, item, grant_of(wrapped_by(1)));
  EXPECT_EQ(data.at("mek"), "resnet50#1");
  EXPECT_EQ(data.at("mek_id"), to_hex(desk.mek_id));
  EXPECT_EQ(data.at("ueid"), to_hex(card.ueid));
  EXPECT_EQ(data.at("wrapped_sha256"), sha256_hex(Bytes(46, 1)));
  EXPECT_EQ(data.at("pub_sha256"), sha256_hex(Bytes(65, 1)));
  EXPECT_EQ(data.at("suite"), "ecdh-x963-aeskw");
  EXPECT_EQ(data.at("raised").at("svn_floors").size(), 2U);
  EXPECT_EQ(data.dump().find(to_base64(Bytes(46, 1))), std::string::npos) << "not the key itself";
}

TEST_F(Wrapped, IsFoundByItsReport) {
  Grant one, two;
  one.report_digest = sha256(view("one"));
  one.wrapped = wrapped_by(1);
  two.report_digest = sha256(view("two"));
  two.wrapped = wrapped_by(2);
  const auto wraps = wraps_of({one, two});
  EXPECT_EQ(wraps.size(), 2U);
  EXPECT_EQ(wraps.at(two.report_digest).encrypt, Bytes(46, 2));
  EXPECT_EQ(two.slots().encrypt, Bytes(46, 2));
  EXPECT_EQ(two.slots().nonce, Bytes(32, 2));
  EXPECT_EQ(two.slots().pub, Bytes(65, 2));
}

TEST_F(Wrapped, IsListedForItsCard) {
  Grant grant;
  grant.host = "h1";
  grant.device = 3;
  grant.claims.ueid = card.ueid;
  grant.wrapped = wrapped_by(1);
  grant.report_digest = report.digest;
  grant.entry = 9;
  const models::WrappedFor listed = models::wrapped_for(grant, "h1-3");
  EXPECT_EQ(listed.dir, "h1-3");
  EXPECT_EQ(listed.host, "h1");
  EXPECT_EQ(listed.device, 3U);
  EXPECT_EQ(listed.ueid, card.ueid);
  EXPECT_EQ(listed.suite, "ecdh-x963-aeskw");
  EXPECT_EQ(listed.report_digest, report.digest);
  EXPECT_EQ(listed.entry, 9U);
  EXPECT_EQ(listed.slots.pub, Bytes(65, 1));
}

TEST_F(Wrapped, NamesItsFolderByClaimsThatNobodyVerified) {
  EXPECT_EQ(models::unverified_claims(report)->ueid, card.ueid);
  EXPECT_FALSE(models::unverified_claims({"junk", copy(view("no report")), {}}));
  EXPECT_FALSE(models::unverified_claims({"empty", {}, {}}));
}

TEST_F(Wrapped, FreshReleaseGoesOnWithNothing) {
  look_up_challenges(desk.state, {&item});
  EXPECT_TRUE(item.challenge.known);
  EXPECT_FALSE(item.challenge.consumed);
  EXPECT_EQ(item.txn.kind, "");
  EXPECT_FALSE(item.is_wrapped());
  EXPECT_THAT(obstacle(), IsEmpty());
  desk.state.challenges.erase_if([](const auto&) { return true; });
  look_up_challenges(desk.state, {&item});
  EXPECT_FALSE(item.challenge.known);
}

TEST_F(Wrapped, ReleaseThatWasCutShortIsTakenUp) {
  open_release(nullptr);
  EXPECT_THAT(obstacle(), IsEmpty()) << "nothing was wrapped";
  EXPECT_EQ(item.txn.seq, 7U);
  EXPECT_EQ(item.txn.id, "txn");
  EXPECT_EQ(item.txn.kind, "release");
  EXPECT_FALSE(item.challenge.consumed) << "by this very report";
}

TEST_F(Wrapped, ReleaseOfAnotherReportUsesTheChallengeUp) {
  open_release(nullptr);
  desk.challenge().consumed_by = std::string(64, 'f');
  look_up_challenges(desk.state, {&item});
  EXPECT_TRUE(item.challenge.consumed);
  EXPECT_EQ(item.txn.kind, "");
}

TEST_F(Wrapped, KeyOfTheHomeIsTheOneInTheLogOrNoneGoesOut) {
  open_release(wrapped_data(mek, item, grant_of(wrap(1))));
  ASSERT_EQ(obstacle().size(), 1U);
  EXPECT_EQ(item.obstacle.front().id, "POL-CHALLENGE-USED");
  keep(wrap(2));
  EXPECT_EQ(obstacle().size(), 1U) << "another wrap than the one in the log";
  keep(wrap(1));
  EXPECT_THAT(obstacle(), IsEmpty());
  EXPECT_TRUE(item.is_wrapped());
  keys::WrappedMek changed = wrap(1);
  changed.pub[0] ^= 1;
  keep(changed);
  EXPECT_EQ(obstacle().size(), 1U) << "another public part";
  changed = wrap(1);
  changed.nonce[0] ^= 1;
  keep(changed);
  EXPECT_EQ(obstacle().size(), 1U) << "the nonce of another challenge";
}

}  // namespace
}  // namespace qpcseal::release
