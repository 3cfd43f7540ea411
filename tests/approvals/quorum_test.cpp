// SPDX-License-Identifier: Apache-2.0
// Which request and which signatures let an act be done: the right act, here, now, once, by enough people.
#include "appliance/approval/quorum.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "tests/base/expect_error.h"
#include "tests/site/logged_home.h"

namespace qpcseal::approval {
namespace {

using encoding::Json;
using qpcseal::testing::LoggedHome;
using qpcseal::testing::OfficerKey;
using qpcseal::testing::write_text;
using ::testing::ElementsAre;

// The policy of the sample: "seal" needs one officer, "release" two.
class Quorum : public ::testing::Test {
 protected:
  [[nodiscard]] std::string request_for(const std::string& act_kind, const Json& parameters) {
    return encode_approval_request(
        make_approval_request(log, policy, act_kind, parameters, now, audit::kDay, site.host.random));
  }
  void sign(const OfficerKey& officer, const std::string& text) { signatures.push_back(officer.sign(text)); }
  [[nodiscard]] ApprovalContext context(UnixTime later = 0) {
    return {log.state, [](std::uint64_t, const std::string&) { return true; }, policy, officers, now + later};
  }
  ApprovalResult judge(const Json& parameters, UnixTime later = 0) {
    return judge_approval(context(later), operation, parameters, requests, signatures);
  }
  void candidate(UnixTime later = 0) { require_candidate(context(later), operation, requests, signatures); }

  LoggedHome site;
  audit::LogCopy log = site.copy();
  policy::Policy policy = testing::sample_policy();
  Officers officers = read_officers(site.home.officers(), log.state);
  UnixTime now = site.host.clock.time;
  std::string operation = "seal";
  Json act{{"mek", "a#1"}, {"model", "m"}};
  std::vector<std::string> requests{request_for("seal", act)}, signatures;
};

TEST_F(Quorum, IsOfThePeopleWhoSigned) {
  sign(site.anna, requests[0]);
  signatures.emplace_back("a file of another kind");
  const ApprovalResult result = judge(act, 5);
  EXPECT_EQ(result.request, requests[0]);
  EXPECT_THAT(result.signatures, ElementsAre(signatures[0]));
  EXPECT_TRUE(result.rejecters.empty());
  EXPECT_EQ(result.record.at("nonce"), parse_approval_request(requests[0]).nonce);
  EXPECT_EQ(result.record.at("request_sha256"), sha256_hex(requests[0]));
  EXPECT_EQ(result.record.at("time"), now + 5);
  EXPECT_EQ(result.record.at("approvers").size(), 1U);
  EXPECT_EQ(result.record.at("approvers")[0].at("name"), "anna");
}

TEST_F(Quorum, IsForThisActAlone) {
  sign(site.anna, requests[0]);
  EXPECT_ERROR(
      ApprovalsMissing,
      "the request is for another 'seal': parameter 'mek' is \"a#1\" in the request, \"b#1\" in the act",
      judge({{"mek", "b#1"}, {"model", "m"}}));
  EXPECT_ERROR(ApprovalsMissing, "it lacks parameter 'more'",
               judge({{"mek", "a#1"}, {"model", "m"}, {"more", "x"}}));
  EXPECT_ERROR(ApprovalsMissing, "it has parameter 'model', which the act has not", judge({{"mek", "a#1"}}));
}

TEST_F(Quorum, IsOfTheRequestThatFitsAmongSeveral) {
  sign(site.anna, requests[0]);
  const std::string right = requests[0];
  requests = {request_for("release", act), request_for("seal", {{"mek", "b#1"}}), right};
  EXPECT_EQ(judge(act).request, right);
  candidate();
}

TEST_F(Quorum, NeedsARequestForTheOperation) {
  operation = "release";
  const std::string why = "'release' needs the approval of 2 officers, and no request for it was given";
  EXPECT_ERROR(ApprovalsMissing, why + ": the one that was given is for 'seal'", judge(act));
  EXPECT_ERROR(ApprovalsMissing, why + ": the one that was given is for 'seal'", candidate());
  requests.clear();
  EXPECT_ERROR(ApprovalsMissing, why, judge(act));
  EXPECT_ERROR(ApprovalsMissing, why, candidate());
}

TEST_F(Quorum, CountsPeopleAndNotSignatures) {
  operation = "release";
  requests = {request_for("release", act)};
  EXPECT_ERROR(ApprovalsMissing, "'release' needs the approval of 2 officers; what counts is 0 (nobody)",
               judge(act));
  sign(site.anna, requests[0]);
  sign(site.anna, requests[0]);
  EXPECT_ERROR(ApprovalsMissing, "what counts is 1 (anna)", judge(act));
  EXPECT_ERROR(ApprovalsMissing, "what counts is 1 (anna)", candidate());
  sign(site.bela, requests[0] + "\n");
  EXPECT_ERROR(ApprovalsMissing, "what counts is 1 (anna)", judge(act)) << "another text";
  sign(site.bela, requests[0]);
  EXPECT_EQ(judge(act).record.at("approvers").size(), 2U);
  candidate();
}

TEST_F(Quorum, HoldsFromTheFirstSecondToBeforeTheLast) {
  sign(site.anna, requests[0]);
  EXPECT_ERROR(ApprovalsMissing,
               "the request is valid from 2027-01-15T08:00:00Z, now it is 2027-01-15T07:59:59Z",
               judge(act, -1));
  EXPECT_ERROR(ApprovalsMissing, "the request is valid from", candidate(-1));
  judge(act, 0);
  judge(act, audit::kDay - 1);
  EXPECT_ERROR(ApprovalsMissing,
               "the request expired at 2027-01-16T08:00:00Z, now it is 2027-01-16T08:00:00Z",
               judge(act, audit::kDay));
  EXPECT_ERROR(ApprovalsMissing, "the request expired at", candidate(audit::kDay));
}

TEST_F(Quorum, ServesOnceUnlessTheSameActMayGoOn) {
  sign(site.anna, requests[0]);
  const std::string nonce = parse_approval_request(requests[0]).nonce;
  log.state.approvals_used.emplace(nonce, sha256_hex(requests[0]));
  EXPECT_ERROR(ApprovalsMissing, "the request was used before; each one serves once", judge(act));
  EXPECT_ERROR(ApprovalsMissing, "the request was used before", candidate());
  log.state.approvals_again[nonce] = sha256_hex("another text");
  EXPECT_ERROR(ApprovalsMissing, "the request was used before", judge(act));
  log.state.approvals_again[nonce] = sha256_hex(requests[0]);
  judge(act);
}

TEST_F(Quorum, IsNoneWhereOneOfficerRejected) {
  sign(site.anna, requests[0]);
  sign(site.bela, rejection_text(requests[0]));
  const ApprovalResult result = judge(act);
  ASSERT_EQ(result.rejecters.size(), 1U);
  EXPECT_EQ(result.rejecters[0].name, "bela");
  EXPECT_THAT(result.signatures, ElementsAre(signatures[1]));
  EXPECT_TRUE(result.record.at("approvers").empty());
}

TEST_F(Quorum, IsJudgedByARequestAsItIsWrittenAlone) {
  requests = {requests[0] + "more\n"};
  EXPECT_ERROR(Malformed, "there is more after its end", judge(act));
  EXPECT_ERROR(Malformed, "there is more after its end", candidate());
}

// What is not about this request is no reason to try the next one.
TEST_F(Quorum, PassesOnWhatIsWrongWithTheLog) {
  sign(site.anna, requests[0]);
  requests.insert(requests.begin(), request_for("seal", {{"mek", "b#1"}}));
  candidate();
  ApprovalContext damaged = context();
  bool asked = false;
  damaged.was_head = [&](std::uint64_t, const std::string&) {
    if (!std::exchange(asked, true)) throw Error(ErrorKind::LogDamaged, "a line is missing");
    return true;
  };
  EXPECT_ERROR(LogDamaged, "a line is missing", require_candidate(damaged, operation, requests, signatures));
}

TEST_F(Quorum, RequestsAreMadeOfActsThatNeedOfficers) {
  EXPECT_ERROR(Denied, "the policy does not allow 'mek-backup': [approvals] does not name it",
               request_for("mek-backup", act));
  EXPECT_ERROR(Usage, "'mek-generate' needs no approval under this policy", request_for("mek-generate", act));
  const ApprovalRequest made = parse_approval_request(request_for("release", act));
  EXPECT_EQ(made.threshold, 2U);
  EXPECT_EQ(made.not_after - made.not_before, audit::kDay);
  EXPECT_EQ(made.log_size, log.checkpoint.size);
}

TEST_F(Quorum, IsOfTheOfficersInTheLog) {
  write_text(site.home.officers(), site.officers_text + "\n");
  EXPECT_ERROR(Denied, "is not the officers file in the log", read_officers(site.home.officers(), log.state));
  log.state.officers_digest.clear();
  EXPECT_ERROR(ApprovalsMissing, "this appliance has no officers",
               read_officers(site.home.officers(), log.state));
}

TEST_F(Quorum, FilesThatWereGivenAreOfTheKindThatIsAskedFor) {
  const auto file = [&](const std::string& name, const std::string& text) {
    write_text(site.folder / name, text);
    return std::vector<std::filesystem::path>{site.folder / name};
  };
  const std::string signature = site.anna.sign("x");
  EXPECT_THAT(read_requests(file("a", requests[0])), ElementsAre(requests[0]));
  EXPECT_THAT(read_signatures(file("b", signature)), ElementsAre(signature));
  EXPECT_ERROR(Malformed, "an SSH signature, not a request for approval",
               read_requests(file("c", signature)));
  EXPECT_ERROR(Malformed, "a request for approval, not an SSH signature",
               read_signatures(file("d", requests[0])));
  EXPECT_ERROR(Malformed, "e is empty, and no request for approval", read_requests(file("e", "")));
  EXPECT_ERROR(Malformed, "e is empty, and no SSH signature", read_signatures(file("e", "")));
}

}  // namespace
}  // namespace qpcseal::approval
