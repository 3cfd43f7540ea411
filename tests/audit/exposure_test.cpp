// SPDX-License-Identifier: Apache-2.0
// Keys in the clear in another maker's tool: what the log takes of an exposure, and what counts.
#include <gtest/gtest.h>

#include "appliance/audit/log.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::HostLog;
using testing::TempFolder;

const std::string kKey(32, '1'), kOtherKey(32, '2'), kUsedReport(64, 'e'), kOtherReport(64, 'd'),
    kTool(64, 'c');

encoding::Json expose_intent() {
  return {{"mek_id", kKey},
          {"mek", "m#1"},
          {"act", "encrypt-model"},
          {"tool_sha256", kTool},
          {"program_sha256", kTool},
          {"reports", encoding::Json::array({kUsedReport})},
          {"policy", testing::genesis_data()["policy"]}};
}

encoding::Json exposed_data() { return {{"exposed", {{"tool_sha256", kTool}}}}; }

encoding::Json release_intent(const std::string& report = kUsedReport) {
  return {{"nonce", testing::challenge_data(1)["nonce"]},
          {"mek_id", kKey},
          {"mek", "m#1"},
          {"report_sha256", report},
          {"ueid", "0102030405"},
          {"policy", testing::genesis_data()["policy"]}};
}

encoding::Json release_exposed(const std::string& tool = kTool) {
  return {{"exposed", {{"tool_sha256", tool}}},
          {"suite", "vendor"},
          {"raised", {{"svn_floors", encoding::Json::array()}, {"crls", encoding::Json::array()}}}};
}

encoding::Json outputs() {
  return {{"outputs", encoding::Json::array(
                          {{{"name", "programqpc.bin"}, {"size", 5}, {"sha256", std::string(64, 'a')}}})}};
}

class ExposedKeys : public ::testing::Test {
 protected:
  void SetUp() override {
    Log log = host_.create();
    for (const std::string& id : {kKey, kOtherKey})
      log.result(log.intent("mek-generate",
                            {{"mek_id", id}, {"label", id == kKey ? "m#1" : "n#1"}, {"generation", 1}}),
                 "ok", encoding::Json::object());
    encoding::Json challenge = testing::challenge_data(1);
    challenge["mek_id"] = kKey;
    log.event("challenge", challenge);
  }
  Log open() { return host_.open(); }
  Txn exposed(const encoding::Json& intent = expose_intent()) {
    Log log = open();
    const Txn txn = log.intent("mek-expose", intent);
    log.wrapped({txn}, {exposed_data()});
    return txn;
  }
  // Its argument may append: the log is opened behind it.
  void end(const Txn& txn, const char* outcome, const encoding::Json& data) {
    open().result(txn, outcome, data);
  }
  MekHistory key() { return open().state().meks.at(from_hex(kKey)); }

  TempFolder temp_;
  HostLog host_{temp_ / "log"};
};

TEST_F(ExposedKeys, CountFromTheEntryBeforeTheToolOn) {
  const Txn txn = open().intent("mek-expose", expose_intent());
  EXPECT_EQ(key().exposures, 0U) << "the key is in the token still";
  open().wrapped({txn}, {exposed_data()});
  EXPECT_EQ(key().exposures, 1U);
  EXPECT_EQ(key().exposed_since, host_.clock.time);
  open().result(txn, "unknown", {{"error", "the tool was killed"}});
  EXPECT_EQ(key().exposures, 1U) << "whatever becomes of the tool";
  const UnixTime first = host_.clock.time;
  host_.clock.time += 10;
  end(exposed(), "ok", outputs());
  EXPECT_EQ(key().exposures, 2U);
  EXPECT_EQ(key().exposed_since, first);
}

TEST_F(ExposedKeys, AreNeverSaidNotToHaveBeenInTheTool) {
  const Txn txn = exposed();
  for (const char* outcome : {"failed", "denied"})
    EXPECT_ERROR(Malformed, "of a key that was wrapped",
                 open().result(txn, outcome, encoding::Json::object()));
  const Txn second = open().intent("mek-expose", expose_intent());
  EXPECT_ERROR(Malformed, "no key was wrapped", open().result(second, "ok", outputs()));
}

TEST_F(ExposedKeys, HaveAnIntentThatNamesAllOfTheAct) {
  for (const char* name : {"mek_id", "act", "tool_sha256", "program_sha256", "reports", "policy"}) {
    encoding::Json intent = expose_intent();
    intent.erase(name);
    EXPECT_ERROR(Malformed, name, open().intent("mek-expose", intent)) << name;
  }
  const auto with = [](const char* name, const encoding::Json& value) {
    encoding::Json intent = expose_intent();
    intent[name] = value;
    return intent;
  };
  EXPECT_ERROR(Malformed, "unknown MEK", open().intent("mek-expose", with("mek_id", std::string(32, '9'))));
  EXPECT_ERROR(Malformed, "not in force",
               open().intent("mek-expose", with("policy", {{"digest", kTool}, {"serial", 1}})));
  EXPECT_ERROR(Malformed, "no list", open().intent("mek-expose", with("reports", "x")));
  EXPECT_ERROR(Malformed, "without its SHA-256",
               open().intent("mek-expose", with("reports", encoding::Json::array({"ab"}))));
  open().event("mek-suspend", {{"mek_id", kKey}, {"mek", "m#1"}});
  EXPECT_ERROR(Malformed, "'suspended'", open().intent("mek-expose", expose_intent()));
}

// A log with officers, and one key.
void make_with_officers(HostLog& host, bool demo) {
  encoding::Json genesis = testing::genesis_data();
  genesis.update({{"officers", std::string(64, 'f')}, {"insecure_demo", demo}});
  Log log = Log::create(host.settings(), host.signer, testing::kOrigin, genesis);
  log.result(log.intent("mek-generate", {{"mek_id", kKey}, {"label", "m#1"}, {"generation", 1}}), "ok",
             encoding::Json::object());
}

TEST_F(ExposedKeys, NeedAnOfficerWhereThereAreAny) {
  HostLog host(temp_ / "guarded");
  make_with_officers(host, false);
  encoding::Json intent = expose_intent();
  EXPECT_ERROR(Malformed, "no officer agreed to", host.open().intent("mek-expose", intent));
  intent["approval"] = {{"nonce", std::string(64, '1')},
                        {"request_sha256", std::string(64, '2')},
                        {"time", 1},
                        {"approvers", encoding::Json::array()}};
  EXPECT_ERROR(Malformed, "no officer agreed to", host.open().intent("mek-expose", intent));
  intent["approval"].erase("approvers");
  EXPECT_ERROR(Malformed, "approvers", host.open().intent("mek-expose", intent));
  intent["approval"]["approvers"] = encoding::Json::array({{{"name", "anna"}}});
  EXPECT_NO_THROW(host.open().intent("mek-expose", intent));
}

TEST_F(ExposedKeys, NeedNobodyInADemonstration) {
  HostLog host(temp_ / "demo");
  make_with_officers(host, true);
  EXPECT_NO_THROW(host.open().intent("mek-expose", expose_intent()));
}

TEST_F(ExposedKeys, StayInTheTokenOnceTheyAreSuspended) {
  const Txn txn = open().intent("mek-expose", expose_intent());
  open().event("mek-suspend", {{"mek_id", kKey}, {"mek", "m#1"}});
  EXPECT_ERROR(Malformed, "'suspended'", open().wrapped({txn}, {exposed_data()}));
}

TEST_F(ExposedKeys, NameTheToolBeforeItHasThem) {
  const Txn txn = open().intent("mek-expose", expose_intent());
  EXPECT_ERROR(Malformed, "exposed", open().wrapped({txn}, {encoding::Json::object()}));
  EXPECT_ERROR(Malformed, "tool_sha256", open().wrapped({txn}, {{{"exposed", encoding::Json::object()}}}));
  EXPECT_ERROR(Malformed, "exposed", open().wrapped({txn}, {testing::wrapped_data()}));
}

TEST_F(ExposedKeys, HaveAResultThatListsWhatTheToolMade) {
  const Txn txn = exposed();
  EXPECT_ERROR(Malformed, "outputs", open().result(txn, "ok", encoding::Json::object()));
  EXPECT_ERROR(Malformed, "made nothing", open().result(txn, "ok", {{"outputs", encoding::Json::array()}}));
  for (const char* name : {"name", "size", "sha256"}) {
    encoding::Json data = outputs();
    data["outputs"][0].erase(name);
    EXPECT_ERROR(Malformed, name, open().result(txn, "ok", data)) << name;
  }
}

TEST_F(ExposedKeys, AreReleasedOnlyByAnExposureOfThisReport) {
  const Txn release = open().intent("release", release_intent());
  const auto refused = [&](const char* why, const std::string& tool = kTool) {
    EXPECT_ERROR(Malformed, "a tool that has not got the key",
                 open().wrapped({release}, {release_exposed(tool)}))
        << why;
  };
  refused("none");
  const Txn begun = open().intent("mek-expose", expose_intent());
  refused("one that has not come as far");
  open().result(begun, "failed", encoding::Json::object());
  encoding::Json other = expose_intent();
  other["reports"] = encoding::Json::array({kOtherReport});
  end(exposed(other), "unknown", encoding::Json::object());
  const Txn for_other = exposed(other);
  refused("one for another report");
  open().result(for_other, "ok", outputs());
  other = expose_intent();
  other.update({{"mek_id", kOtherKey}, {"mek", "n#1"}});
  const Txn of_other = exposed(other);
  refused("one of another key");
  open().result(of_other, "ok", outputs());
  end(exposed(), "ok", outputs());
  refused("one that is over");
  const Txn ours = exposed();
  refused("another tool", std::string(64, '0'));
  open().wrapped({release}, {release_exposed()});
  open().results({{release, "ok", {{"exposed", {{"tool_sha256", kTool}}}}}, {ours, "ok", outputs()}});
  EXPECT_TRUE(open().state().releases.empty()) << "no wrapped key of ours is bound to it";
  EXPECT_EQ(key().releases, 1U);
}

TEST_F(ExposedKeys, AreExposedWhereTheyAreRestored) {
  const auto back = [](const std::string& label, std::uint64_t since) {
    return encoding::Json{{"mek_id", std::string(32, '5')}, {"label", label},   {"generation", 1},
                          {"origin", "restored"},           {"encryptions", 1}, {"exposed_since", since}};
  };
  EXPECT_ERROR(Malformed, "at no time", open().intent("mek-restore", back("r#1", 0)));
  EXPECT_ERROR(Malformed, "at no time", open().intent("mek-restore", back("r#1", std::uint64_t{1} << 63)));
  end(open().intent("mek-restore", back("r#1", 1700000000)), "failed", encoding::Json::object());
  open().intent("mek-restore", back("r#1", 1750000000));
  const MekHistory mek = open().state().meks.at(from_hex(std::string(32, '5')));
  EXPECT_EQ(mek.exposures, 1U);
  EXPECT_EQ(mek.exposed_since, 1700000000) << "the first of all that is known";
}

TEST_F(ExposedKeys, AreInEachReplayAndInTheSnapshot) {
  host_.every = 1;
  end(exposed(), "ok", outputs());
  const State state = open().state();
  EXPECT_EQ(state.meks.at(from_hex(kKey)).exposures, 1U);
  EXPECT_EQ(read_log(host_.dir, std::nullopt).state, state);
}

}  // namespace
}  // namespace qpcseal::audit
