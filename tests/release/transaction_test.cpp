// SPDX-License-Identifier: Apache-2.0
// Who is denied before a challenge is used up, and what a denial costs the others.
#include "appliance/release/transaction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/base/finding_ids.h"
#include "tests/release/release_desk.h"

namespace qpcseal::release {
namespace {

using qpcseal::testing::ids;
using qpcseal::testing::ReleaseDesk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Mode = Transaction::Mode;

class Transactions : public ::testing::Test {
 protected:
  ReleaseDesk desk;

  [[nodiscard]] bool is_used(const Report& report) {
    const auto claims = verify_attestation(report, desk.appliance().policy(), desk.appliance().trust(),
                                           desk.appliance().now())
                            .evidence.claims;
    return desk.appliance().log().state().challenges.find(claims.value().nonce)->second.consumed;
  }
  Report broken() {
    Report out = desk.report("broken");
    out.bytes.back() ^= 1;
    out.digest = sha256(out.bytes);
    return out;
  }
  // The findings of each report, where each is for itself.
  std::vector<std::vector<std::string>> findings(const std::vector<Report>& reports) {
    Transaction each(desk.appliance(), desk.mek, reports, {desk.appliance(), desk.mek, digests_of(reports)},
                     Mode::Each);
    std::vector<std::vector<std::string>> out;
    for (const ReleaseItem& item : each.candidates()) out.push_back(ids(item.findings()));
    return out;
  }
};

TEST_F(Transactions, OfAllOrNoneDenyAllForOneThatDoesNotVerify) {
  const Report good = desk.report("good"), bad = broken();
  EXPECT_ERROR(Denied, "broken is denied: ATT-SIGNATURE", desk.release({good, bad}, Mode::AllOrNone));
  EXPECT_FALSE(is_used(good)) << "nothing was used up";
  EXPECT_THAT(desk.demo.last_entries(1), ElementsAre("denied")) << "and the report is in the log";
  desk.release({good}, Mode::AllOrNone);
  EXPECT_TRUE(is_used(good));
}

TEST_F(Transactions, OfAllOrNoneDenyTwoReportsOfOneCard) {
  const Report one = desk.report("one"), two = desk.report("two");
  EXPECT_ERROR(Denied, "one is denied: POL-CARD-TWICE; two is denied: POL-CARD-TWICE",
               desk.release({one, two}, Mode::AllOrNone));
  EXPECT_FALSE(is_used(one));
  EXPECT_FALSE(is_used(two));
  EXPECT_ERROR(Denied, "POL-CHALLENGE-TWICE", desk.release({one, one}, Mode::AllOrNone));
  EXPECT_FALSE(is_used(one));
}

TEST_F(Transactions, OfAllOrNoneUseUpTheAnswersOfAllWhereThePolicyDeniesOne) {
  const Report good = desk.report("good");
  desk.become(Bytes(10, 0x77));
  const Report other = desk.report("other");
  try {
    desk.release({good, other}, Mode::AllOrNone);
    FAIL() << "released";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Denied);
    EXPECT_STREQ(error.what(), "other is denied: POL-UEID");
    EXPECT_THAT(error.hint(), ::testing::HasSubstr("the other card's answer is used up, too"));
  }
  EXPECT_TRUE(is_used(good));
  EXPECT_THAT(desk.demo.last_entries(2), ElementsAre("release denied", "release denied"));
}

TEST_F(Transactions, OfEachDenyThoseAlone) {
  const Report good = desk.report("good"), bad = broken();
  desk.become(Bytes(10, 0x77));
  const Report other = desk.report("other");
  const std::vector<Report> reports{good, bad, other};
  Transaction each(desk.appliance(), desk.mek, reports, {desk.appliance(), desk.mek, digests_of(reports)},
                   Mode::Each);
  EXPECT_THAT(each.candidates()[0].findings(), IsEmpty());
  EXPECT_THAT(ids(each.candidates()[1].findings()), ElementsAre("ATT-SIGNATURE"));
  EXPECT_THAT(ids(each.candidates()[2].findings()), ElementsAre("POL-UEID"));
  ASSERT_EQ(each.wrap().size(), 1U);
  EXPECT_EQ(each.grants()[0].report_digest, good.digest);
  EXPECT_THAT(desk.demo.last_entries(1), ElementsAre("release"));
  each.commit({encoding::Json::object()});
  EXPECT_THAT(desk.demo.last_entries(1), ElementsAre("release ok"));
}

TEST_F(Transactions, LeaveTheChallengesOfAnotherKey) {
  const Report report = desk.report();
  desk.mek = mek::generate(desk.appliance(), "another");
  EXPECT_THAT(findings({report}), ElementsAre(ElementsAre("POL-CHALLENGE-MEK")));
  EXPECT_FALSE(is_used(report));
}

TEST_F(Transactions, DenyAChallengeThatWasUsed) {
  const Report report = desk.report();
  desk.release({report});
  try {
    desk.release({report}, Mode::AllOrNone);
    FAIL() << "released twice";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                ::testing::HasSubstr("POL-CHALLENGE-USED; its challenge was used up by log entry"));
    EXPECT_THAT(error.hint(), ::testing::HasSubstr("qpcseal attest request"));
  }
}

TEST_F(Transactions, SayBeforehandWhetherAllWouldPass) {
  const auto would_pass = [&](const std::vector<Report>& reports) {
    return Transaction::would_pass(desk.appliance(), desk.mek, reports);
  };
  const Report one = desk.report("one"), two = desk.report("two"), bad = broken();
  const std::uint64_t before = desk.last();
  EXPECT_TRUE(would_pass({one}));
  EXPECT_FALSE(would_pass({one, two})) << "two of one card";
  EXPECT_FALSE(would_pass({one, bad}));
  EXPECT_EQ(desk.last(), before) << "nothing was logged";
  desk.release({one});
  EXPECT_FALSE(would_pass({one}));
}

TEST_F(Transactions, NameAFileThatIsNoReport) {
  const Report junk{"junk.bin", copy(view("junk")), sha256(view("junk"))};
  EXPECT_ERROR(Malformed, "junk.bin: ", desk.release({junk}));
}

std::string for_any_card(std::string policy) {
  const std::size_t from = policy.find("ueids = ["), to = policy.find('\n', from);
  return policy.replace(from, to - from, "ueids = \"any\"");
}

std::string two_releases(std::string policy) {
  const std::string limit = "max_releases = 10";
  return for_any_card(policy.replace(policy.find(limit), limit.size(), "max_releases = 2"));
}

// One release that was cut short behind its wrap, and the answers of two other cards, where two releases are
// allowed.
class WrappedAtTheLimit : public ::testing::Test {
 protected:
  void SetUp() override {
    transaction({wrapped}).wrap();
    for (const int other : {1, 2}) {
      desk.become(Bytes(10, static_cast<std::uint8_t>(other)));
      others.push_back(desk.report("other"));
    }
  }
  Transaction transaction(const std::vector<Report>& reports) {
    return {
        desk.appliance(), desk.mek, reports, {desk.appliance(), desk.mek, digests_of(reports)}, Mode::Each};
  }

  ReleaseDesk desk{two_releases};
  Report wrapped = desk.report("one");
  std::vector<Report> others;
};

TEST_F(WrappedAtTheLimit, GivesItsPlaceToNobodyWhereItIsDenied) {
  std::filesystem::remove_all(desk.demo.home.root / "wrapped");  // its copy is lost
  const std::vector<Report> reports{wrapped, others[0], others[1]};
  const Transaction each = transaction(reports);
  EXPECT_EQ(std::ranges::count_if(each.candidates(), &ReleaseItem::allowed), 1) << "one of the two others";
  EXPECT_EQ(desk.appliance().log().state().meks.at(desk.mek.id).releases, 2U);
}

TEST_F(WrappedAtTheLimit, GoesOnBehindTheOthers) {
  const std::vector<Report> reports{others[1], others[0], wrapped};
  const Transaction each = transaction(reports);
  EXPECT_TRUE(each.candidates()[0].allowed());
  EXPECT_THAT(ids(each.candidates()[1].findings()), ElementsAre("POL-RELEASES"));
  EXPECT_TRUE(each.candidates()[2].allowed()) << "it counted already";
}

// The releases stay open: the same command goes on with them.
TEST(TransactionsOfAnyCard, FailWhereTheTokenWrapsForNobody) {
  ReleaseDesk desk(for_any_card);
  std::vector<Report> reports{desk.report("one")};
  desk.become(Bytes(10, 0x77));
  reports.push_back(desk.report("two"));
  Transaction each(desk.appliance(), desk.mek, reports, {desk.appliance(), desk.mek, digests_of(reports)},
                   Mode::Each);
  desk.appliance().session().destroy(desk.mek.object);
  EXPECT_ERROR(Token, "C_WrapKey", each.wrap());
  EXPECT_EQ(desk.appliance().log().state().open.size(), 2U);
}

TEST(ChallengesForMeks, NeedASuiteThatTheTokenServes) {
  qpcseal::testing::DemoAppliance demo([](std::string policy) {
    const std::string suites = "suites = [1, 2, 3]";
    return policy.replace(policy.find(suites), suites.size(), "suites = [1]");
  });
  site::Appliance& appliance = demo.open();
  const keys::Mek key = mek::generate(appliance, "resnet50");
  EXPECT_ERROR(Denied, "token and policy have no wrap suite in common for resnet50#1",
               make_requests(appliance, key, {{}}));
}

}  // namespace
}  // namespace qpcseal::release
