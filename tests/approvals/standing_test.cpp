// SPDX-License-Identifier: Apache-2.0
// What an officer is told of a request before signing it: expired, used, rejected, done, or of another state.
#include "appliance/approval/standing.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/base/expect_error.h"
#include "tests/site/logged_home.h"

namespace qpcseal::approval {
namespace {

using encoding::Json;
using qpcseal::testing::LoggedHome;

constexpr const char* kAnother = "'qpcseal request new' makes another one";

std::string digits(std::uint8_t what) { return to_hex(Bytes(32, what)); }

class RequestStanding : public ::testing::Test {
 protected:
  LoggedHome site;
  std::string mek_id = std::string(32, '1');
  ApprovalRequest request = new_request("seal");

  // The policy of the sample: "seal" needs one officer, "release" two.
  ApprovalRequest new_request(const std::string& operation) {
    return make_approval_request(site.copy(), testing::sample_policy(), operation, Json::object(),
                                 site.host.clock.time, audit::kDay, site.host.random);
  }
  // For an operation that needs nobody under the sample.
  ApprovalRequest for_key(const std::string& operation) {
    ApprovalRequest out = request;
    out.operation = operation;
    out.threshold = 0;
    out.parameters = {{"mek_id", mek_id}};
    return out;
  }
  [[nodiscard]] std::string text() const { return encode_approval_request(request); }
  [[nodiscard]] Json approval() const {
    return {{"nonce", request.nonce}, {"request_sha256", sha256_hex(text())}};
  }
  Standing look(UnixTime later = 0) {
    const audit::LogCopy log = site.copy();
    const policy::Policy policy = testing::sample_policy();
    const Officers officers = read_officers(site.home.officers(), log.state);
    const auto was_head = [&](std::uint64_t size, const std::string& root) {
      return size <= log.tree.size() && to_hex(log.tree.root(size)) == root;
    };
    return standing_in_log({log.state, was_head, policy, officers, site.host.clock.time + later}, log,
                           request, text());
  }
  std::string refusal() { return look().refusal; }
  [[nodiscard]] std::string entry(std::uint64_t seq, const std::string& kind) const {
    const std::string time = format_time(audit::parse_entry(site.copy().line(seq)).time);
    return "log entry " + std::to_string(seq) + ", " + kind + ", of " + time;
  }
  audit::Txn seal_begun() {
    return site.log->intent("seal", {{"mek_id", mek_id},
                                     {"mek", "a#1"},
                                     {"model", "m"},
                                     {"model_version", 1},
                                     {"encryptions", 1},
                                     {"approval", approval()}});
  }
  std::uint64_t end(const audit::Txn& txn, const std::string& outcome = "ok", Json data = Json::object()) {
    return site.log->result(txn, outcome, std::move(data));
  }
  void generate(const std::string& label = "a#1", std::uint64_t generation = 1, const std::string& id = "",
                const std::string& outcome = "ok") {
    end(site.log->intent(
            "mek-generate",
            {{"mek_id", id.empty() ? mek_id : id}, {"label", label}, {"generation", generation}}),
        outcome);
  }
  Json release(std::uint8_t report) {
    return {{"nonce", digits(report)},
            {"mek_id", mek_id},
            {"report_sha256", digits(report)},
            {"ueid", "01"},
            {"policy", {{"digest", site.log->state().policy_digest}, {"serial", 7}}}};
  }
  std::uint64_t reject() {
    Json data{{"operation", request.operation}};
    data.update(approval());
    return site.log->event("rejection", data);
  }
  std::string done() { return why_done(site.copy(), request); }
};

TEST_F(RequestStanding, ByTheClockEndsAtItsLastSecond) {
  EXPECT_EQ(standing_by_clock(request, request.not_after - 1).refusal, "");
  const Standing late = standing_by_clock(request, request.not_after);
  EXPECT_EQ(late.refusal, "the request expired at 2027-01-16T08:00:00Z, and it is 2027-01-16T08:00:00Z");
  EXPECT_EQ(late.hint, kAnother);
  EXPECT_EQ(late.note, "");
}

TEST_F(RequestStanding, OfASuspensionIsNotEndedByAClock) {
  request.operation = "mek-suspend";
  const Standing late = standing_by_clock(request, request.not_after + 60);
  EXPECT_EQ(late.refusal, "");
  EXPECT_EQ(late.note,
            "NOTE: the request expired at 2027-01-16T08:00:00Z, and it is 2027-01-16T08:01:00Z, by this "
            "machine's clock.\n");
}

TEST_F(RequestStanding, InTheLogIsGoodWhereNothingWasDone) {
  generate();
  const Standing found = look();
  EXPECT_EQ(found.refusal, "");
  EXPECT_EQ(found.note, "");
  EXPECT_EQ(look(audit::kDay).refusal,
            "the request expired at 2027-01-16T08:00:00Z, and it is 2027-01-16T08:00:00Z");
}

TEST_F(RequestStanding, IsUsedUpByAnActThatIsDone) {
  generate();
  const audit::Txn txn = seal_begun();
  const std::string first = entry(txn.seq, "seal");
  const std::string used = "the request was used already: " + first + ". Each one serves once";
  EXPECT_EQ(refusal(), used) << "it is under way";
  end(txn, "ok", {{"seal_id", digits(1)}, {"manifest_sha256", digits(2)}, {"partitions", Json::array()}});
  EXPECT_EQ(refusal(), used);
  EXPECT_EQ(look(audit::kDay).refusal, used) << "more than that it expired";
  EXPECT_EQ(look().hint, kAnother);
  EXPECT_EQ(first_use(site.copy(), request.nonce), first);
  EXPECT_EQ(words_of_use(site.copy(), request.nonce), "used before: " + first + "; each one serves once");
}

TEST_F(RequestStanding, ServesAgainWhereTheActFailed) {
  generate();
  const audit::Txn txn = seal_begun();
  end(txn, "failed");
  EXPECT_EQ(refusal(), "");
  EXPECT_EQ(look().note, "NOTE: its act was tried and failed (" + entry(txn.seq, "seal") +
                             "); it may be done again under this request.\n");
  EXPECT_EQ(look(audit::kDay).refusal.substr(0, 19), "the request expired");
  request.parameters = {{"model", "another"}};
  EXPECT_EQ(refusal(), "the request was used already: " + entry(txn.seq, "seal") + ". Each one serves once")
      << "another text with its nonce";
}

TEST_F(RequestStanding, OfARejectedRequestNamesTheRejection) {
  generate();
  end(seal_begun(), "failed");
  const std::uint64_t seq = reject();
  EXPECT_EQ(refusal(), "the request was rejected: " + entry(seq, "rejection"));
  EXPECT_EQ(words_of_use(site.copy(), request.nonce), "rejected: " + entry(seq, "rejection"));
}

TEST_F(RequestStanding, OfReleasesLastsUntilAllReportsAreServed) {
  generate();
  request = new_request("release");
  request.parameters = {{"mek_id", mek_id}, {"reports", {digits(1), digits(2)}}};
  Json first = release(1), second = release(2);
  first["approval"] = approval();
  second["approved_by"] = request.nonce;
  const audit::Txn one = site.log->intent("release", first);
  const std::string note = "NOTE: this request was used before (" + entry(one.seq, "release") +
                           "), and a run that was cut short goes on under it. Sign it again only if a "
                           "signature was lost.\n";
  end(one, "failed");
  EXPECT_EQ(look().note, note) << "one of two";
  EXPECT_EQ(refusal(), "");
  const audit::Txn two = site.log->intent("release", second);
  EXPECT_EQ(look().note, note) << "the second is under way";
  end(two, "failed");
  EXPECT_EQ(refusal(),
            "the request was used already: " + entry(one.seq, "release") + ". Each one serves once");
  EXPECT_EQ(look().note, "");
}

TEST_F(RequestStanding, OfManyReportsCountsThem) {
  generate();
  request = new_request("release");
  request.parameters = {{"mek_id", mek_id}, {"report_count", 2}, {"reports_sha256", digits(9)}};
  Json first = release(1);
  first["approval"] = approval();
  end(site.log->intent("release", first), "failed");
  EXPECT_NE(look().note, "");
  request.parameters["report_count"] = 1;
  EXPECT_EQ(look().note, "");
}

// The releases began under another request; the event says that they go on under this one.
TEST_F(RequestStanding, OfReleasesCountsThoseThatAnEventCovers) {
  generate();
  request = new_request("release");
  request.parameters = {{"mek_id", mek_id}, {"reports", {digits(1)}}};
  const audit::Txn one = site.log->intent("release", release(1));
  Json agreed = approval();
  const std::uint64_t event = site.log->event("release", {{"agreed", agreed}, {"intents", {one.seq}}});
  EXPECT_EQ(look().note.substr(0, 35), "NOTE: this request was used before ");
  end(one, "failed");
  EXPECT_EQ(refusal(), "the request was used already: " + entry(event, "release") + ". Each one serves once");
}

TEST_F(RequestStanding, IsInVainForAKeyOfANameThatIsTaken) {
  request.operation = "mek-generate";
  request.parameters = {{"name", "a"}};
  generate("ab#1", 1, std::string(32, '2'));
  generate("a#1", 1, std::string(32, '3'), "failed");
  EXPECT_EQ(done(), "") << "another name, and one that came to nothing";
  generate();
  EXPECT_EQ(done(), "there is, or was, a MEK 'a' already: a#1, made 2027-01-15T08:00:00Z");
  end(site.log->intent("mek-destroy", {{"mek_id", mek_id}}), "ok", {{"mek_id", mek_id}});
  EXPECT_EQ(done(), "there is, or was, a MEK 'a' already: a#1, made 2027-01-15T08:00:00Z")
      << "a name is not given again";
}

TEST_F(RequestStanding, IsInVainForWhatASuspensionDid) {
  generate();
  request = for_key("mek-suspend");
  EXPECT_EQ(done(), "");
  request = for_key("mek-resume");
  EXPECT_EQ(done(), "a#1 is not suspended") << "it never was";
  const std::uint64_t first = site.log->event("mek-suspend", {{"mek_id", mek_id}});
  EXPECT_EQ(done(), "");
  request = for_key("mek-suspend");
  EXPECT_EQ(done(), "a#1 is suspended already: " + entry(first, "mek-suspend"));
  const std::uint64_t resumed = site.log->event("mek-resume", {{"mek_id", mek_id}});
  request = for_key("mek-resume");
  EXPECT_EQ(done(), "a#1 is not suspended: " + entry(resumed, "mek-resume"));
  const std::uint64_t second = site.log->event("mek-suspend", {{"mek_id", mek_id}});
  request = for_key("mek-suspend");
  EXPECT_EQ(done(), "a#1 is suspended already: " + entry(second, "mek-suspend")) << "the last one";
}

TEST_F(RequestStanding, IsInVainForAKeyThatIsDestroyedUnlessItComesBack) {
  generate();
  const audit::Txn txn = site.log->intent("mek-destroy", {{"mek_id", mek_id}});
  request = for_key("mek-backup");
  EXPECT_EQ(done(), "") << "it may fail yet";
  const std::uint64_t seq = end(txn, "ok", {{"mek_id", mek_id}});
  for (const char* operation : {"mek-backup", "mek-destroy", "release", "mek-suspend", "mek-rotate"}) {
    request = for_key(operation);
    EXPECT_EQ(done(), "a#1 is destroyed: " + entry(seq, "mek-destroy")) << operation;
  }
  for (const char* operation : {"mek-restore", "mek-drill", "mek-import"}) {
    request = for_key(operation);
    EXPECT_EQ(done(), "") << operation;
  }
}

TEST_F(RequestStanding, IsInVainForAKeyThatIsReplaced) {
  generate();
  generate("a2#1", 1, std::string(32, '2'));
  const auto rotate = [&](const std::string& id, std::uint64_t generation, const std::string& outcome) {
    end(site.log->intent("mek-rotate", {{"mek_id", id},
                                        {"label", "a#" + std::to_string(generation)},
                                        {"generation", generation},
                                        {"replaces", mek_id}}),
        outcome);
  };
  rotate(std::string(32, '3'), 2, "failed");
  request = for_key("mek-rotate");
  EXPECT_EQ(done(), "");
  site.host.clock.time += 60;
  rotate(std::string(32, '4'), 3, "ok");
  EXPECT_EQ(done(), "a#1 is replaced by a#3 since 2027-01-15T08:01:00Z");
  request = for_key("mek-backup");
  EXPECT_EQ(done(), "") << "a replaced key can be backed up";
  request = for_key("mek-rotate");
  request.parameters["mek_id"] = std::string(32, '4');
  EXPECT_EQ(done(), "") << "the newest";
}

TEST_F(RequestStanding, SaysNothingOfKeysThatTheLogDoesNotKnow) {
  request = for_key("mek-destroy");
  EXPECT_EQ(done(), "");
  for (const char* id : {"", "1", "not hex!"}) {
    request.parameters["mek_id"] = id;
    EXPECT_EQ(done(), "") << id;
  }
}

TEST_F(RequestStanding, KeepsOfficersFromSigningWhatIsDone) {
  generate();
  request = for_key("mek-resume");
  const Standing found = look();
  EXPECT_EQ(found.refusal, "what the request asks for is done: a#1 is not suspended");
  EXPECT_EQ(found.hint, "sign nothing; 'qpcseal audit show' has the entries");
}

TEST_F(RequestStanding, KeepsOfficersFromSigningForAnotherState) {
  const ApprovalRequest good = request;
  const auto with = [&](const std::function<void(ApprovalRequest&)>& change) {
    request = good;
    change(request);
    return refusal();
  };
  EXPECT_EQ(with([](ApprovalRequest& it) { it.appliance_id = "plant-2"; }),
            "the request names another appliance: plant-2, here it is plant-1");
  EXPECT_EQ(with([](ApprovalRequest& it) { it.token_serial = "0124"; }),
            "the request names another token: 0124, here it is 0123");
  EXPECT_EQ(
      with([](ApprovalRequest& it) { it.policy_digest = digits(1); }),
      "the request names another policy: " + digits(1) + ", here it is " + sha256_hex(site.policy_text));
  EXPECT_EQ(with([](ApprovalRequest& it) { it.threshold = 2; }),
            "the request names another threshold: 2, here it is 1");
  EXPECT_EQ(with([](ApprovalRequest& it) { it.log_root = digits(1); }),
            "the request names a log of 1 entries that this log does not begin with");
  EXPECT_EQ(with([](ApprovalRequest&) {}), "");
}

// A log whose first entry lacks what is compared is damaged: that is no word about the request.
TEST_F(RequestStanding, PassesOnWhatIsNotAboutTheRequest) {
  audit::LogCopy log = site.copy();
  log.state.genesis.erase("appliance_id");
  const policy::Policy policy = testing::sample_policy();
  const Officers officers;
  EXPECT_ERROR(
      Malformed, "appliance_id",
      standing_in_log({log.state, {}, policy, officers, site.host.clock.time}, log, request, text()));
}

TEST_F(RequestStanding, HasNoUseOfANonceThatTheLogLacks) {
  EXPECT_EQ(first_use(site.copy(), digits(5)), std::nullopt);
  EXPECT_EQ(words_of_use(site.copy(), digits(5)), "used before; each one serves once");
}

}  // namespace
}  // namespace qpcseal::approval
