// SPDX-License-Identifier: Apache-2.0
// What nobody can have done, whoever signed the log: keys that left for challenges that were not theirs, and
// acts under keys that are not in use.
#include <gtest/gtest.h>

#include "appliance/audit/log.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::challenge_data;
using testing::HostLog;
using testing::wrapped_data;

const std::string kSomeMek(32, '1'), kSomeOther(32, '2'), kSomeReport(64, 'e'),
    kSomeFile(64, 'f'), kSomeCard = "0102030405060708";

class Contradictions : public ::testing::Test {
 protected:
  void SetUp() override {
    Log log = host.create();
    make(log, kSomeMek, "m#1");
    make(log, kSomeOther, "n#1");
    log.event("challenge", challenge(1));
  }
  static void make(Log& log, const std::string& id, const std::string& label) {
    log.result(log.intent("mek-generate", {{"mek_id", id}, {"label", label}, {"generation", 1}}), "ok",
               encoding::Json::object());
  }
  static encoding::Json challenge(std::uint64_t number) {
    encoding::Json out = challenge_data(number);
    out["mek_id"] = kSomeMek;
    return out;
  }
  static encoding::Json release(std::uint64_t challenge, const std::string& mek = kSomeMek) {
    return {{"nonce", challenge_data(challenge)["nonce"]},
            {"mek_id", mek},
            {"report_sha256", kSomeReport},
            {"ueid", kSomeCard},
            {"policy", testing::genesis_data()["policy"]}};
  }
  // In a log that is opened for it alone: one that refuses an entry is of no more use.
  void wrap(const encoding::Json& intent) {
    Log log = host.open();
    const Txn txn = log.intent("release", intent);
    log.wrapped({txn}, {wrapped_data(kSomeFile)});
  }
  void begin(const std::string& kind, const encoding::Json& data) { host.open().intent(kind, data); }
  void happen(const std::string& kind, const encoding::Json& data) { host.open().event(kind, data); }

  testing::TempFolder dir;
  HostLog host{dir / "log"};
};

TEST_F(Contradictions, AChallengeGivesOneKey) {
  wrap(release(1));
  EXPECT_ERROR(Malformed, "did not use up", wrap(release(1)));
}

TEST_F(Contradictions, AChallengeThatNobodyMadeGivesNone) {
  EXPECT_ERROR(Malformed, "did not use up", wrap(release(9)));
}

TEST_F(Contradictions, AChallengeIsForOneKeyAndCard) {
  EXPECT_ERROR(Malformed, "another MEK's challenge", wrap(release(1, kSomeOther)));
  encoding::Json other = challenge(2);
  other["ueid"] = kSomeCard + "09";
  happen("challenge", other);
  EXPECT_ERROR(Malformed, "another card's challenge", wrap(release(2)));
}

TEST_F(Contradictions, ThePolicyInForceDecides) {
  encoding::Json other = release(1);
  other["policy"]["digest"] = kSomeFile;
  EXPECT_ERROR(Malformed, "a policy that is not in force", begin("release", other));
}

TEST_F(Contradictions, OnlyAKeyInUseIsReleasedSealsAndIsBackedUp) {
  const encoding::Json act{{"mek_id", kSomeMek}, {"encryptions", 1}};
  happen("mek-suspend", {{"mek_id", kSomeMek}});
  EXPECT_ERROR(Malformed, "release of a MEK that is 'suspended'", wrap(release(1)));
  EXPECT_ERROR(Malformed, "seal under a MEK that is 'suspended'", begin("seal", act));
  EXPECT_ERROR(Malformed, "set under a MEK that is 'suspended'", begin("seal-set", act));
  EXPECT_ERROR(Malformed, "backup under a MEK that is 'suspended'", begin("mek-backup", act));
}

// The result names the file and the count by other members than what was wrapped before.
TEST_F(Contradictions, ABackupIsTheFileThatWasWrappedWithTheLogsCount) {
  const auto back_up = [&](const encoding::Json& result) {
    Log log = host.open();
    const Txn txn = log.intent("mek-backup", {{"mek_id", kSomeMek}, {"encryptions", 1}});
    log.wrapped({txn}, {{{"wrapped_sha256", kSomeFile}}});
    log.result(txn, "ok", result);
  };
  EXPECT_ERROR(Malformed, "another digest",
               back_up({{"backup_sha256", kSomeReport}, {"encryptions_until", 1}}));
  EXPECT_ERROR(Malformed, "another count", back_up({{"backup_sha256", kSomeFile}, {"encryptions_until", 1}}));
  back_up(
      {{"backup_sha256", kSomeFile}, {"encryptions_until", 3}});  // the two before count from their intents
}

TEST_F(Contradictions, AKeysEndHasTheLogsCount) {
  begin("seal", {{"mek_id", kSomeMek}, {"encryptions", 5}});
  const auto destroy = [&](std::uint64_t count) {
    Log log = host.open();
    const Txn txn = log.intent("mek-destroy", {{"mek_id", kSomeOther}});
    log.result(txn, "ok", {{"encryptions", count}});
  };
  EXPECT_ERROR(Malformed, "another count", destroy(5));
  Log log = host.open();
  log.result(log.intent("mek-destroy", {{"mek_id", kSomeMek}}), "ok", {{"encryptions", 5}});
}

TEST_F(Contradictions, ACountOfEncryptionsNeverGoesDown) {
  begin("seal", {{"mek_id", kSomeMek}, {"encryptions", 5}});
  EXPECT_ERROR(Malformed, "no number holds",
               begin("seal", {{"mek_id", kSomeMek}, {"encryptions", UINT64_MAX}}));
  EXPECT_EQ(host.open().state().meks.at(from_hex(kSomeMek)).encryptions, 5U);
}

TEST_F(Contradictions, ASetsModelIsSealedWhileTheSetIsOpen) {
  const auto seal = [&](const std::string& mek, std::uint64_t set) {
    return host.open().intent("seal", {{"mek_id", mek}, {"encryptions", 1}, {"set", set}});
  };
  EXPECT_ERROR(Malformed, "a seal of a set that is not open", seal(kSomeMek, 1));
  const Txn set = host.open().intent("seal-set", {{"mek_id", kSomeMek}});
  EXPECT_ERROR(Malformed, "a seal of a set that is not open", seal(kSomeOther, set.seq));
  const Txn model = seal(kSomeMek, set.seq);
  EXPECT_ERROR(Malformed, "a seal of a set that is not open", seal(kSomeMek, model.seq));
  EXPECT_ERROR(Malformed, "'manifest_sha256'", host.open().result(set, "ok", encoding::Json::object()));
  host.open().result(set, "ok", {{"manifest_sha256", kSomeFile}});
  EXPECT_ERROR(Malformed, "a seal of a set that is not open", seal(kSomeMek, set.seq));
}

TEST_F(Contradictions, ASealListsItsPartitions) {
  Log log = host.open();
  const Txn txn = log.intent("seal", {{"mek_id", kSomeMek}, {"encryptions", 1}});
  EXPECT_ERROR(Malformed, "partitions are no list",
               log.result(txn, "ok", {{"manifest_sha256", kSomeFile}, {"partitions", 1}}));
}

TEST_F(Contradictions, ACopyThatOnlyWrapsEncryptsNothing) {
  const std::string copy(32, '3');
  {
    Log log = host.open();
    log.result(log.intent("mek-restore", {{"mek_id", copy},
                                          {"label", "c#1"},
                                          {"generation", 1},
                                          {"encryptions", 4},
                                          {"origin", "restored"}}),
               "ok", encoding::Json::object());
  }
  const encoding::Json act{{"mek_id", copy}, {"encryptions", 1}};
  EXPECT_ERROR(Malformed, "seal under a MEK that only wraps", begin("seal", act));
  EXPECT_ERROR(Malformed, "backup under a MEK that only wraps", begin("mek-backup", act));
}

TEST_F(Contradictions, OneLabelIsOneKey) {
  encoding::Json second{
      {"mek_id", std::string(32, '3')}, {"label", "m#1"}, {"generation", 1}, {"encryptions", 0}};
  EXPECT_ERROR(Malformed, "second MEK of one label", begin("mek-generate", second));
  second["check_value"] = std::string(64, '4');
  EXPECT_ERROR(Malformed, "second MEK of one label", begin("mek-import", second));
  second["origin"] = "restored";
  EXPECT_ERROR(Malformed, "second MEK of one label", begin("mek-restore", second));
}

// Two changes that were begun one after the other, and end the other way round.
TEST_F(Contradictions, SerialsDoNotFallWhereAnEarlierChangeEndsLater) {
  for (const char* kind : {"policy", "trust"}) {
    Log log = host.open();
    const auto change = [&](std::uint64_t serial) {
      return log.intent(kind, {{"serial", serial}, {"digest", kSomeFile}, {"crls", encoding::Json::array()}});
    };
    const Txn first = change(5), second = change(6);
    log.result(second, "ok", encoding::Json::object());
    EXPECT_ERROR(Malformed, "serial that does not rise", log.result(first, "ok", encoding::Json::object()))
        << kind;
  }
}

TEST_F(Contradictions, ACeremonyHasOneStepAtATime) {
  const encoding::Json ceremony{{"ceremony", kSomeMek}, {"plan_sha256", kSomeFile}};
  encoding::Json step = ceremony;
  step.update({{"step", "one"}, {"attempt", 1}});
  Txn whole;
  {
    Log log = host.open();
    whole = log.intent("ceremony", ceremony);
    log.intent("ceremony-step", step);
  }
  EXPECT_ERROR(Malformed, "while another goes on", begin("ceremony-step", step));
  EXPECT_ERROR(Malformed, "while a step of it goes on",
               host.open().result(whole, "ok", encoding::Json::object()));
}

// Two processes on two copies of a home, and one token: whoever comes second does nothing.
TEST_F(Contradictions, ATokenRemembersOneLog) {
  HostLog copy(dir / "copy");
  std::filesystem::copy(host.dir, copy.dir);
  std::swap(copy.signer, host.signer);
  copy.anchor.state = host.anchor.state;
  LogSettings settings = copy.settings();
  settings.anchor = &host.anchor;
  std::swap(copy.signer, host.signer);
  Log second = Log::open(settings, host.signer);
  wrap(release(1));
  EXPECT_ERROR(LogDamaged, "a copy of this home is in use too", second.intent("release", release(1)));
  host.open().event("challenge", challenge(3));
}

}  // namespace
}  // namespace qpcseal::audit
