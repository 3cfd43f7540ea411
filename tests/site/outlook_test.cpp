// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/outlook.h"

#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/site/logged_home.h"

namespace qpcseal::site {
namespace {

using testing::LoggedHome;

class LookAhead : public ::testing::Test {
 protected:
  LoggedHome site;
  audit::LogCursor at = audit::find_position(site.home.log());
  UnixTime clock = at.state.last_time;
  bool confirmed = false;

  // How often the look came about.
  int looks(const std::function<void(const Outlook&)>& look = {}) {
    int count = 0;
    look_ahead(site.home, at, {}, {}, clock, confirmed, [&](const Outlook& outlook) {
      ++count;
      if (look) look(outlook);
    });
    return count;
  }
  void open(const std::string& kind, encoding::Json wrapped = nullptr) {
    at.state.open[1] = {1, kind, std::string(32, '1'), encoding::Json::object(), std::move(wrapped)};
  }
};

TEST_F(LookAhead, SeesTheLogAsItLies) {
  EXPECT_EQ(looks([&](const Outlook& outlook) {
              EXPECT_EQ(outlook.tree().root(), at.tree.root());
              EXPECT_EQ(outlook.state.policy_digest, sha256_hex(site.policy_text));
              EXPECT_FALSE(outlook.insecure_demo());
            }),
            1);
}

TEST_F(LookAhead, WaitsForWhatTheStartSettles) {
  open("mek-generate");
  EXPECT_EQ(looks(), 0);
  for (const char* kind : {"release", "ceremony", "ceremony-step", "shred"}) {
    open(kind);
    EXPECT_EQ(looks(), 1) << kind;
  }
  open("release", {{"exposed", true}});
  EXPECT_EQ(looks(), 0) << "what a tool had cannot go on";
}

TEST_F(LookAhead, RefusesAPolicyThatIsNotTheLogs) {
  write_file(site.home.policy(), view(site.policy_text + "#\n"), Existing::Replace, 0600);
  EXPECT_ERROR(Denied, "is not the policy in the log", looks());
}

TEST_F(LookAhead, DoubtsTheClockUnlessTheStartConfirmsIt) {
  constexpr UnixTime kDay = 86400;
  clock = at.state.last_time + 30 * kDay;
  const auto check = [](const Outlook& outlook) { outlook.check_clock(); };
  EXPECT_ERROR(Denied, "days after the log's last entry", looks(check));
  confirmed = true;
  EXPECT_EQ(looks(check), 1);
}

TEST_F(LookAhead, IsNoTimeBeforeTheLogs) {
  clock = at.state.last_time - 1;
  looks([&](const Outlook& outlook) { EXPECT_GE(outlook.now(), at.state.last_time); });
}

TEST_F(LookAhead, MissesTheGenesisFirst) {
  EXPECT_ERROR(ApprovalsMissing, "the officers have not signed the genesis yet",
               looks([](const Outlook& outlook) { require_candidate(outlook, "mek-generate"); }));
}

// Under the sample's policy: "release" needs two officers, "mek-generate" none, "mek-backup" is not named.
class JudgedActs : public ::testing::Test {
 protected:
  JudgedActs() : JudgedActs("2028") {}
  explicit JudgedActs(const std::string& year) : site(true, with_year(year)) { site.accept_genesis(); }
  static std::string with_year(const std::string& year) {
    return testing::sample_policy_text("expires = \"2027", "expires = \"" + year);
  }
  // Whether officers agreed.
  bool judged(const std::string& operation) {
    std::optional<approval::ApprovalResult> out;
    look_ahead(site.home, audit::find_position(site.home.log()), {}, {}, clock, false,
               [&](const Outlook& outlook) {
                 out = judge_act(outlook, operation, {{"name", "a"}});
                 require_candidate(outlook, operation);
               });
    return out.has_value();
  }
  LoggedHome site;
  UnixTime clock = site.host.clock.time;
};

class JudgedLate : public JudgedActs {
 protected:
  JudgedLate() : JudgedActs("2027") {}
};

TEST_F(JudgedActs, NeedNobodyWhereThePolicySaysSo) { EXPECT_FALSE(judged("mek-generate")); }

TEST_F(JudgedActs, NeedTheOfficersThatThePolicyNames) {
  EXPECT_ERROR(ApprovalsMissing, "'release' needs the approval of 2 officers", judged("release"));
}

TEST_F(JudgedActs, AreThoseThatThePolicyNames) {
  EXPECT_ERROR(Denied, "the policy does not allow 'mek-backup': [approvals] does not name it",
               judged("mek-backup"));
}

TEST_F(JudgedActs, WaitForAClockThatCanBeBelieved) {
  clock += 30 * UnixTime{86400};
  EXPECT_ERROR(Denied, "days after the log's last entry", judged("mek-generate"));
}

TEST_F(JudgedLate, AreNoneUnderAPolicyThatExpired) {
  EXPECT_ERROR(Denied, "expired", judged("mek-generate"));
}

}  // namespace
}  // namespace qpcseal::site
