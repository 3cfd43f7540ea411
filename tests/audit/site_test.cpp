// SPDX-License-Identifier: Apache-2.0
// Facts of the site, the anchor that officers accept, and the log's time: what State and Log take, and
// refuse.
#include <gtest/gtest.h>

#include "appliance/audit/chain.h"
#include "appliance/audit/log.h"
#include "base/clock.h"
#include "base/error.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::challenge_data;
using testing::genesis_data;
using testing::HostLog;
using testing::read_text;
using testing::site_facts;
using testing::TempFolder;
using testing::write_text;

constexpr UnixTime kStart = 1800000000;
constexpr std::uint64_t kFloor = kStart;

Bytes nonce(std::uint64_t challenge) {
  return from_hex(encoding::text_member(challenge_data(challenge), "nonce"));
}

class SiteLog : public ::testing::Test {
 protected:
  void SetUp() override { host_.create(); }
  Log open() { return host_.open(); }
  void at(UnixTime time) { host_.clock.time = time; }
  encoding::Json change(const SiteFacts& before, const SiteFacts& now) {
    return {{"old", as_json(before)}, {"new", as_json(now)}};
  }

  TempFolder temp_;
  HostLog host_{temp_ / "log"};
};

TEST_F(SiteLog, AGenesisWithoutFactsIsOfAnEarlierVersion) {
  const TempFolder other;
  HostLog old(other / "log");
  encoding::Json data = genesis_data();
  data.erase("site");
  EXPECT_ERROR(Malformed, "made by a version before 0.2.0",
               Log::create(old.settings(), old.signer, testing::kOrigin, data));
  EXPECT_ERROR(Malformed, "made by a version before 0.2.0", genesis_facts(data));
}

TEST_F(SiteLog, FactsAreReadStrictly) {
  const auto with = [](const char* key, const encoding::Json& value) {
    encoding::Json json = as_json(site_facts());
    json[key] = value;
    return json;
  };
  EXPECT_EQ(parse_site_facts(as_json(site_facts())), site_facts());
  EXPECT_ERROR(Malformed, "clock_days", parse_site_facts(with("clock_days", 0U)));
  EXPECT_ERROR(Malformed, "clock_days", parse_site_facts(with("clock_days", 91U)));
  EXPECT_ERROR(Malformed, "module_sha256", parse_site_facts(with("module_sha256", "ee")));
  EXPECT_ERROR(Malformed, "accept", parse_site_facts(with("accept", encoding::Json::array({1}))));
  for (const encoding::Json& bad : {encoding::Json("x"), encoding::Json(), encoding::Json::object()})
    EXPECT_ERROR(Malformed, "'accept' is not a list", parse_site_facts(with("accept", bad)));
  EXPECT_ERROR(Malformed, "site", parse_site_facts(with("more", true)));
}

TEST_F(SiteLog, AnImageStandsInTheFactsOnlyWhereOneIsNamed) {
  EXPECT_FALSE(as_json(site_facts()).contains("image"));
  SiteFacts named = site_facts();
  named.image = std::string(64, '1');
  EXPECT_EQ(as_json(named)["image"], named.image);
  EXPECT_EQ(parse_site_facts(as_json(named)), named);
  for (const encoding::Json& bad : {encoding::Json(""), encoding::Json("11"), encoding::Json(nullptr),
                                    encoding::Json(std::string(64, 'A')), encoding::Json("none")}) {
    encoding::Json json = as_json(named);
    json["image"] = bad;
    EXPECT_ERROR(Malformed, "image", parse_site_facts(json)) << bad.dump();
  }
  open().event("site", change(site_facts(), named));
  EXPECT_EQ(open().state().site.image, named.image) << "the snapshot has it";
}

// Where the facts name an image, no ceremony is under another.
TEST_F(SiteLog, ACeremonyBeginsUnderTheImageOfTheFacts) {
  const auto ceremony = [](char plan, const encoding::Json& image) {
    return encoding::Json{{"ceremony", std::string(32, plan)},
                          {"plan_sha256", std::string(64, plan)},
                          {"environment", {{"image", image}}}};
  };
  {
    Log log = open();
    log.result(log.intent("ceremony", ceremony('1', nullptr)), "ok", encoding::Json::object());
    log.result(log.intent("ceremony", ceremony('2', std::string(64, '9'))), "ok", encoding::Json::object());
  }
  SiteFacts named = site_facts();
  named.image = std::string(64, '1');
  open().event("site", change(site_facts(), named));
  EXPECT_ERROR(Malformed, "another image than the site's", open().intent("ceremony", ceremony('3', nullptr)));
  EXPECT_ERROR(Malformed, "another image than the site's",
               open().intent("ceremony", ceremony('3', std::string(64, '9'))));
  EXPECT_ERROR(
      Malformed, "environment",
      open().intent("ceremony", {{"ceremony", std::string(32, '3')}, {"plan_sha256", std::string(64, '3')}}));
  open().intent("ceremony", ceremony('3', named.image));
}

TEST_F(SiteLog, AChangeNamesTheFactsInForceAndOthers) {
  SiteFacts next = site_facts();
  next.module_sha256 = std::string(64, '1');
  EXPECT_ERROR(Malformed, "not in force", open().event("site", change(next, site_facts())));
  EXPECT_ERROR(Malformed, "changes nothing", open().event("site", change(site_facts(), site_facts())));
  open().event("site", change(site_facts(), next));
  EXPECT_EQ(open().state().site, next);
  EXPECT_EQ(read_log(host_.dir, std::nullopt).state.site, next);
}

// Whatever the policy says: these could undo what all else protects.
TEST_F(SiteLog, ARepairIsOneThatOfficersAgreedTo) {
  State state;
  encoding::Json data = genesis_data();
  data["officers"] = std::string(64, '5');
  data["log_key"] = host_.signer.verifier("log.test").text();
  const auto apply = [](State& to, const std::string& kind, encoding::Json content, UnixTime time) {
    Entry entry;
    entry.seq = to.size;
    entry.time = time;
    entry.txn = std::string(32, 'a');
    entry.kind = kind;
    entry.phase = Phase::Event;
    entry.data = std::move(content);
    to.apply(entry);
  };
  apply(state, "genesis", data, kStart);
  SiteFacts next = site_facts();
  next.clock_days = 8;
  const std::vector<std::pair<std::string, encoding::Json>> repairs = {
      {"site", change(site_facts(), next)},
      {"anchor-accept", {{"anchor", nullptr}, {"log", {{"size", 1}, {"root", std::string(64, '1')}}}}},
      {"clock-correct", {{"old_floor", kFloor}, {"new_floor", kFloor - 60}}}};
  for (const auto& [kind, content] : repairs) {
    const UnixTime time = kind == "clock-correct" ? kStart - 60 : kStart;
    State alone = state, agreed = state;
    EXPECT_ERROR(Malformed, "no officer agreed", apply(alone, kind, content, time)) << kind;
    encoding::Json with = content;
    with["approval"] = {{"nonce", std::string(64, '6')}, {"request_sha256", std::string(64, '7')}};
    EXPECT_NO_THROW(apply(agreed, kind, with, time)) << kind;
  }
}

TEST_F(SiteLog, TheAnchorCountsWhateverTheFactsSay) {
  const std::string entries = read_text(host_.dir / "entries.jsonl"),
                    note = read_text(host_.dir / "checkpoint");
  SiteFacts without = site_facts();
  without.anchor = false;
  open().event("site", change(site_facts(), without));
  const auto anchor = host_.anchor.state;
  ASSERT_EQ(anchor->size, 2U) << "an anchor that is there goes on";
  write_text(host_.dir / "entries.jsonl", entries);
  write_text(host_.dir / "checkpoint", note);
  EXPECT_ERROR(LogDamaged, "rolled back", open());
}

TEST_F(SiteLog, WithoutAnAnchorInTheFactsNoneIsMadeOrMissed) {
  SiteFacts without = site_facts();
  without.anchor = false;
  open().event("site", change(site_facts(), without));
  host_.anchor.state.reset();
  {
    Log log = open();
    log.event("challenge", challenge_data(1));
    EXPECT_FALSE(host_.anchor.state);
    log.event("site", change(without, site_facts()));
    EXPECT_EQ(host_.anchor.state->size, 4U) << "the fact holds from its entry on";
  }
  host_.anchor.state.reset();
  EXPECT_ERROR(LogDamaged, "gone from the token", open());
}

class OldAnchors : public SiteLog {
 protected:
  void SetUp() override {
    SiteLog::SetUp();
    first_ = *host_.anchor.state;
    for (std::uint64_t i = 0; i < 3; ++i) open().event("challenge", challenge_data(i));
  }
  Log accepting() {
    return Log::open(host_.settings(), host_.signer, find_position(host_.dir), OldAnchor::Accept);
  }
  AnchorState first_;
};

TEST_F(OldAnchors, OneOfSeveralAppendsAgoIsAcceptedByAnEventThatNamesBoth) {
  host_.anchor.state = first_;
  EXPECT_ERROR(LogDamaged, "more than one append", open());
  const auto before = read_log(host_.dir, std::nullopt).checkpoint;
  {
    Log log = accepting();
    EXPECT_TRUE(log.has_old_anchor());
    EXPECT_EQ(*host_.anchor.state, first_) << "nothing is written before officers agree";
    log.accept_anchor(nullptr);
  }
  const Log log = open();
  const Entry entry = parse_entry(read_log(host_.dir, std::nullopt).line(4));
  EXPECT_EQ(entry.kind, "anchor-accept");
  EXPECT_EQ(entry.data["anchor"], (encoding::Json{{"size", 1}, {"root", to_hex(first_.root)}}));
  EXPECT_EQ(entry.data["log"], (encoding::Json{{"size", 4}, {"root", to_hex(before.root)}}));
  EXPECT_EQ(host_.anchor.state->size, 5U);
}

TEST_F(OldAnchors, OneThatIsGoneIsAcceptedAsNone) {
  host_.anchor.state.reset();
  accepting().accept_anchor(nullptr);
  EXPECT_TRUE(parse_entry(read_log(host_.dir, std::nullopt).line(4)).data["anchor"].is_null());
  EXPECT_EQ(open().state().size, 5U);
}

TEST_F(OldAnchors, LinesWithoutACheckpointGoToQuarantineFirst) {
  const std::string note = read_text(host_.dir / "checkpoint");
  open().event("challenge", challenge_data(9));
  write_text(host_.dir / "checkpoint", note);
  host_.anchor.state = first_;
  accepting().accept_anchor(nullptr);
  const State state = open().state();
  EXPECT_EQ(state.size, 6U) << "the event, and one for what was put aside";
  EXPECT_EQ(state.quarantined.size(), 1U);
  EXPECT_EQ(read_log(host_.dir, std::nullopt).tail, "");
}

TEST_F(OldAnchors, OneAheadOrOfAnotherLogIsNeverAccepted) {
  host_.anchor.state->size = 5;
  EXPECT_ERROR(LogDamaged, "rolled back", accepting());
  host_.anchor.state = AnchorState{2, tlog::Hash{}};
  EXPECT_ERROR(LogDamaged, "not the one that the token remembers", accepting());
}

TEST_F(OldAnchors, OneThatFitsNeedsNobody) {
  Log log = accepting();
  EXPECT_FALSE(log.has_old_anchor());
  EXPECT_ERROR(Usage, "nothing to accept", log.accept_anchor(nullptr));
}

TEST_F(OldAnchors, AnEntryThatNamesAnotherLogOrAnAnchorAheadIsRefused) {
  const auto entry = [](std::uint64_t log, std::uint64_t anchor) {
    const std::string root(64, 'a');
    return encoding::Json{{"log", {{"size", log}, {"root", root}}},
                          {"anchor", {{"size", anchor}, {"root", root}}}};
  };
  EXPECT_ERROR(Malformed, "another length", open().event("anchor-accept", entry(3, 1)));
  EXPECT_ERROR(Malformed, "not behind", open().event("anchor-accept", entry(4, 4)));
}

TEST_F(SiteLog, AClockFarAheadIsRefusedUntilItIsConfirmed) {
  at(kStart + 7 * kDay);
  open().event("challenge", challenge_data(1));
  at(kStart + 14 * kDay + 1);
  Log log = open();
  EXPECT_ERROR(Denied, "more than 7 days after", log.event("challenge", challenge_data(2)));
  EXPECT_ERROR(Denied, "more than 7 days after", log.intent("pin-change", encoding::Json::object()));
  EXPECT_EQ(log.state().size, 2U) << "nothing was written";
  log.confirm_clock();
  log.event("challenge", challenge_data(2));
  const LogCopy copy = read_log(host_.dir, std::nullopt);
  const Entry entry = parse_entry(copy.line(2));
  EXPECT_EQ(entry.kind, "clock");
  EXPECT_EQ(entry.data, (encoding::Json{{"confirmed", format_time(kStart + 14 * kDay + 1).substr(0, 10)},
                                        {"before", static_cast<std::uint64_t>(kStart + 7 * kDay)}}));
  EXPECT_EQ(copy.state.last_time, kStart + 14 * kDay + 1);
}

TEST_F(SiteLog, AConfirmationThatNothingAsksForIsNotWritten) {
  at(kStart + kDay);
  Log log = open();
  log.confirm_clock();
  EXPECT_EQ(log.state().size, 1U);
}

TEST_F(SiteLog, AnActAfterTheLimitIsConfirmedToo) {
  Log log = open();
  log.limit_clock(kStart + kDay, "the policy");
  log.limit_clock(kStart + 2 * kDay, "the newest revocation list");
  at(kStart + kDay - 1);
  log.event("challenge", challenge_data(1));
  at(kStart + kDay);
  EXPECT_ERROR(Denied, "after the end of the policy", log.event("challenge", challenge_data(2)));
  log.confirm_clock();
  log.event("challenge", challenge_data(2));
  EXPECT_EQ(log.state().size, 4U);
}

TEST_F(SiteLog, WhatRecoversOrStopsAKeyIsNeverRefusedAndDoesNotRaiseTheFloor) {
  for (const UnixTime now : {kStart + 3650 * kDay, kStart - 30 * kDay, UnixTime{0}}) {
    at(now);
    Log log = open();
    EXPECT_ERROR(Denied, "the clock says", log.check_clock());
    const HeldClock held(log);
    log.event("challenge", challenge_data(log.state().size));
    EXPECT_EQ(log.state().last_time, kStart);
  }
}

TEST_F(SiteLog, NoClockBeforeThisProgramWasBuiltIsBelieved) {
  const TempFolder other;
  HostLog early(other / "log");
  early.clock.time = build_time() - 1;
  EXPECT_ERROR(Denied, "before this program was built", early.create());
  at(build_time() - 1);
  Log log = open();
  EXPECT_ERROR(Denied, "before this program was built", log.correct_clock(nullptr));
  EXPECT_EQ(log.state().size, 1U) << "nothing was written";
}

TEST_F(SiteLog, FilesThatWerePutBackAreSomeFiles) {
  EXPECT_ERROR(Malformed, "put back, and none",
               open().event("token-restored", {{"count", 0}, {"files", encoding::Json::array()}}));
}

TEST_F(SiteLog, AResultIsWrittenWhateverTheClockSaysMeanwhile) {
  Log log = open();
  const Txn txn = log.intent("pin-change", {{"token_serial", "1"}});
  at(kStart + 3650 * kDay);
  log.result(txn, "ok", {{"token_serial", "1"}});
  EXPECT_EQ(log.state().last_time, kStart);
}

TEST_F(SiteLog, EntriesFurtherApartThanTheSitesDaysAreRefusedInAnyLog) {
  State state = open().state();
  Entry entry;
  entry.seq = 1;
  entry.kind = "challenge";
  entry.txn = std::string(32, 'a');
  entry.data = challenge_data(1);
  entry.time = kStart + 7 * kDay + 1;
  EXPECT_ERROR(Malformed, "nobody confirmed the clock", state.apply(entry));
  entry.kind = "clock";
  entry.data = {{"confirmed", "2001-01-01"}, {"before", kFloor}};
  EXPECT_ERROR(Malformed, "another day", state.apply(entry));
  entry.data = {{"confirmed", format_time(entry.time).substr(0, 10)}, {"before", kFloor - 1}};
  EXPECT_ERROR(Malformed, "after another entry", state.apply(entry));
  entry.data["before"] = kFloor;
  state.apply(entry);
}

TEST_F(SiteLog, TimeGoesBackAtACorrectionAloneAndTheFalseTimesChallengesAreVoid) {
  open().event("challenge", challenge_data(1));
  at(kStart + 40 * kDay);
  {
    Log log = open();
    log.confirm_clock();
    log.event("challenge", challenge_data(2));
  }
  at(kStart + kDay);
  Log log = open();
  EXPECT_ERROR(Denied, "the log's last entry is of", log.event("challenge", challenge_data(3)));
  log.correct_clock(nullptr);
  EXPECT_EQ(log.state().last_time, kStart + kDay);
  EXPECT_TRUE(log.state().challenges.contains(nonce(1)));
  EXPECT_FALSE(log.state().challenges.contains(nonce(2)));
  log.event("challenge", challenge_data(3));
  EXPECT_ERROR(Usage, "nothing to correct", log.correct_clock(nullptr));
  for (const Check check : {Check::Everything, Check::Proofs})
    EXPECT_EQ(read_log(host_.dir, std::nullopt, check).state.last_time, kStart + kDay);
  EXPECT_EQ(open().state(), log.state());
}

TEST_F(SiteLog, ACorrectionNamesTheFloorThatItIsOf) {
  State state = open().state();
  Entry entry;
  entry.seq = 1;
  entry.kind = "clock-correct";
  entry.txn = std::string(32, 'a');
  entry.time = kStart - 10;
  const auto data = [](UnixTime old_floor, UnixTime new_floor) {
    return encoding::Json{{"old_floor", static_cast<std::uint64_t>(old_floor)},
                          {"new_floor", static_cast<std::uint64_t>(new_floor)}};
  };
  entry.data = data(kStart - 1, kStart - 10);
  EXPECT_ERROR(Malformed, "from another time", state.apply(entry));
  entry.data = data(kStart, kStart - 9);
  EXPECT_ERROR(Malformed, "from another time", state.apply(entry));
  entry.time = kStart;
  entry.data = data(kStart, kStart);
  EXPECT_ERROR(Malformed, "was not ahead", state.apply(entry));
  entry.time = kStart - 10;
  entry.data = data(kStart, kStart - 10);
  State(state).apply(entry);
  entry.kind = "clock";
  entry.data = {{"confirmed", "2027-01-15"}, {"before", kFloor}};
  EXPECT_ERROR(Malformed, "lies before", state.apply(entry));
}

}  // namespace
}  // namespace qpcseal::audit
