// SPDX-License-Identifier: Apache-2.0
// Which verdicts another policy would change, by the reports that the home keeps.
#include "appliance/verdict/changed_verdicts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "appliance/site/archive.h"
#include "tests/base/expect_error.h"
#include "tests/base/finding_ids.h"
#include "tests/release/release_desk.h"

namespace qpcseal::verdict {
namespace {

namespace fs = std::filesystem;
using qpcseal::testing::cbor_int;
using qpcseal::testing::ids;
using qpcseal::testing::ReleaseDesk;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What happened to reports before.
struct History {
  ReleaseDesk desk;
  release::Report released = desk.report(), late, debugged, unverified, cut_short;
  policy::Policy policy = desk.appliance().policy();  // in force

  History() {
    desk.release({released});
    EXPECT_ERROR(Denied, "POL-CHALLENGE-USED", desk.release({released}, ReleaseDesk::Mode::AllOrNone));
    late.bytes = desk.card().report();  // to the same challenge
    late.digest = sha256(late.bytes);
    desk.release({late});
    desk.card().set(263, cbor_int(2));  // dbgstat
    debugged = desk.report();
    desk.release({debugged});
    desk.card().set(263, cbor_int(3));
    unverified = desk.report();
    unverified.bytes.back() ^= 1;
    unverified.digest = sha256(unverified.bytes);
    desk.release({unverified});
    cut_short = desk.report();
    const std::vector<release::Report> reports{cut_short};
    release::Transaction(desk.appliance(), desk.mek, reports,
                         {desk.appliance(), desk.mek, release::digests_of(reports)}, ReleaseDesk::Mode::Each);
    desk.demo.close();
  }
};

class ChangedVerdicts : public ::testing::Test {
 protected:
  static History& world() {
    static History one;
    return one;
  }
  static const site::Home& home() { return world().desk.demo.home; }
  static std::vector<ChangedVerdict> compare(const policy::Policy& after) {
    return changed_verdicts(home(), world().desk.copy(), world().policy, after);
  }
  static ChangedVerdict on(const release::Report& report, const policy::Policy& after) {
    for (ChangedVerdict& one : compare(after))
      if (one.report == to_hex(report.digest)) return std::move(one);
    throw std::runtime_error("no verdict on the report");
  }
  policy::Policy after = world().policy;
};

TEST_F(ChangedVerdicts, AreThoseOfTheHomesReportsByDigest) {
  const auto all = compare(after);
  std::vector<std::string> digests, wanted;
  for (const ChangedVerdict& one : all) digests.push_back(one.report);
  for (const auto& report :
       {world().released, world().late, world().debugged, world().unverified, world().cut_short})
    wanted.push_back(to_hex(report.digest));
  std::ranges::sort(wanted);
  EXPECT_EQ(digests, wanted) << "one for each, whatever was decided how often";
}

TEST_F(ChangedVerdicts, DoNotChangeUnderTheSamePolicy) {
  for (const ChangedVerdict& one : compare(after)) {
    EXPECT_EQ(one.before, one.after) << one.report;
    EXPECT_EQ(one.why_before, one.why_after) << one.report;
    EXPECT_EQ(one.before, one.why_before.empty()) << one.report;
  }
}

// It came twice, and was denied the second time: that was about its challenge.
TEST_F(ChangedVerdicts, TakeAChallengeForFresh) {
  const ChangedVerdict one = on(world().released, after);
  EXPECT_TRUE(one.before);
  EXPECT_THAT(one.why_before, IsEmpty());
  EXPECT_EQ(one.ueid, to_hex(world().desk.card().ueid));
  EXPECT_TRUE(on(world().late, after).before) << "it never found its challenge unused";
  EXPECT_TRUE(on(world().cut_short, after).before) << "its intent used the challenge up";
}

TEST_F(ChangedVerdicts, TellWhoWouldPassFromNowOn) {
  after.devices[0].min_dbgstat.value = 2;
  const ChangedVerdict one = on(world().debugged, after);
  EXPECT_FALSE(one.before);
  EXPECT_THAT(ids(one.why_before), ElementsAre("POL-DBGSTAT"));
  EXPECT_TRUE(one.after);
  EXPECT_THAT(one.why_after, IsEmpty());
}

TEST_F(ChangedVerdicts, TellWhoWouldBeDeniedFromNowOn) {
  after.devices[0].revoked_ueids.value = {world().desk.card().ueid};
  const ChangedVerdict one = on(world().released, after);
  EXPECT_TRUE(one.before);
  EXPECT_FALSE(one.after);
  EXPECT_THAT(ids(one.why_after), ElementsAre("POL-REVOKED"));
}

TEST_F(ChangedVerdicts, VerifyAgainWhereThePolicyTrustsOthers) {
  after.devices[0].roots.value = {Bytes(32, 1)};
  const ChangedVerdict one = on(world().released, after);
  EXPECT_TRUE(one.before);
  EXPECT_FALSE(one.after);
  EXPECT_THAT(ids(one.why_after), Contains("ATT-CHAIN-ROOT"));
  EXPECT_EQ(one.ueid, to_hex(world().desk.card().ueid)) << "as one of the two verified it";
}

TEST_F(ChangedVerdicts, NameNoCardWhereNobodyVerifiesIt) {
  const ChangedVerdict one = on(world().unverified, after);
  EXPECT_FALSE(one.before);
  EXPECT_THAT(ids(one.why_before), ElementsAre("ATT-SIGNATURE"));
  EXPECT_EQ(one.ueid, "");
}

// The first release found none before it, and today there are more.
TEST_F(ChangedVerdicts, CountReleasesAsTheyWereThen) {
  after.meks[0].max_releases.value = 1;
  EXPECT_TRUE(on(world().released, after).after);
  const ChangedVerdict late = on(world().cut_short, after);
  EXPECT_THAT(ids(late.why_after), ElementsAre("POL-RELEASES")) << "without a verdict: as they are today";
}

TEST_F(ChangedVerdicts, RefuseAFileThatIsNoReport) {
  const fs::path empty = home().reports() / "none.report", other = home().reports() / "note.txt";
  qpcseal::testing::write_text(other, "no report");
  EXPECT_EQ(compare(after).size(), 5U) << "another file";
  qpcseal::testing::write_text(empty, "");
  EXPECT_ERROR(Malformed, "none.report", compare(after));
  fs::remove(empty);
  fs::remove(other);
}

TEST_F(ChangedVerdicts, NeedTheTrustMaterialOfThen) {
  const std::string digest = world().desk.copy().state.trust_digest;
  const fs::path kept = home().approvals() / (digest + ".trust"), aside = home().root / "aside";
  fs::rename(kept, aside);
  EXPECT_ERROR(Io, digest, compare(after));
  fs::rename(aside, kept);
  EXPECT_EQ(compare(after).size(), 5U);
}

}  // namespace
}  // namespace qpcseal::verdict
