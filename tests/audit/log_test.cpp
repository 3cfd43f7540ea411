// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/log.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "appliance/audit/lock.h"
#include "base/error.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::challenge_data;
using testing::HostLog;
using testing::read_text;
using testing::TempFolder;
using testing::write_text;

class LogOfBothTypes : public ::testing::TestWithParam<tlog::KeyType> {};

TEST_P(LogOfBothTypes, WhatWasWrittenIsThereAfterReopening) {
  const TempFolder temp;
  HostLog host(temp / "log", GetParam());
  {
    Log log = host.create();
    log.event("challenge", challenge_data(1));
    const Txn txn =
        log.intent("mek-generate", {{"mek_id", std::string(32, '7')}, {"label", "m#1"}, {"generation", 1}});
    EXPECT_EQ(log.state().open.size(), 1U);
    log.result(txn, "ok", encoding::Json::object());
  }
  const Log log = host.open();
  EXPECT_EQ(log.state().size, 4U);
  EXPECT_EQ(log.state().challenges.size(), 1U);
  EXPECT_TRUE(log.state().open.empty());
  EXPECT_EQ(log.state().meks.at(Bytes(16, 0x77)).state, "ok");
  const LogCopy copy = read_log(host.dir, host.signer.verifier(testing::kOrigin));
  EXPECT_EQ(copy.checkpoint.size, 4U);
  EXPECT_EQ(copy.note, log.checkpoint());
  EXPECT_EQ(parse_entry(copy.line(1)).kind, "challenge");
}
INSTANTIATE_TEST_SUITE_P(Keys, LogOfBothTypes,
                         ::testing::Values(tlog::KeyType::Ed25519, tlog::KeyType::EcdsaP256));

TEST(LogAppend, WhatIsTooLargeIsRefusedBeforeTheLogChanges) {
  const testing::TempFolder temp;
  HostLog host(temp / "log");
  Log log = host.create();
  encoding::Json large = testing::challenge_data(1);
  large["host"] = std::string(kMaxEntrySize, 'h');
  EXPECT_ERROR(Malformed, "takes no 'challenge' of more than",
               log.events("challenge", {testing::challenge_data(2), large}));
  EXPECT_EQ(log.state().size, 1U);
  log.event("challenge", testing::challenge_data(2));
  EXPECT_EQ(read_log(host.dir, std::nullopt).checkpoint.size, 2U);
}

TEST(AuditLog, ABatchCostsOneSignature) {
  const TempFolder temp;
  HostLog host(temp / "log");
  Log log = host.create();
  const unsigned before = host.signer.signatures;
  std::vector<encoding::Json> many;
  for (std::uint64_t i = 0; i < 500; ++i) many.push_back(challenge_data(i));
  log.events("challenge", std::move(many));
  EXPECT_EQ(host.signer.signatures, before + 1);
  EXPECT_EQ(host.open().state().challenges.size(), 500U);
}

TEST(AuditLog, AnEntryThatCannotFollowEndsTheWriterAndIsNotWritten) {
  const TempFolder temp;
  HostLog host(temp / "log");
  Log log = host.create();
  log.event("challenge", challenge_data(1));
  EXPECT_ERROR(Malformed, "nonce", log.event("challenge", challenge_data(1)));
  EXPECT_ERROR(Io, "nothing more is done", log.event("challenge", challenge_data(2)));
  EXPECT_EQ(host.open().state().size, 2U);
}

TEST(AuditLog, AWriterWhoseLogWasContinuedByAnotherStops) {
  const TempFolder temp;
  HostLog host(temp / "log");
  Log log = host.create();
  host.open().event("challenge", challenge_data(1));
  EXPECT_ERROR(LogDamaged, "changed while this command ran", log.event("challenge", challenge_data(2)));
  EXPECT_EQ(host.open().state().size, 2U);
}

TEST(AuditLog, ACheckpointOfNothingIsRefused) {
  const TempFolder temp;
  HostLog host(temp / "log");
  host.create();
  const tlog::VerifierKey key = host.signer.verifier(testing::kOrigin);
  write_text(host.dir / "checkpoint", tlog::sign_checkpoint({0, tlog::empty_root()}, key, host.signer));
  for (const Check check : {Check::Everything, Check::Proofs})
    EXPECT_ERROR(LogDamaged, "covers nothing", read_log(host.dir, key, check));
}

TEST(AuditLog, ALogIsNotCreatedOverAnother) {
  const TempFolder temp;
  HostLog host(temp / "log");
  host.create();
  EXPECT_ERROR(Io, "entries.jsonl: File exists", host.create());
}

TEST(AuditLog, AnotherTokenKeyDoesNotOpenIt) {
  const TempFolder temp;
  HostLog host(temp / "log"), other(temp / "log");
  host.create();
  EXPECT_ERROR(LogDamaged, "another key", other.open());
  EXPECT_ERROR(Denied, "another key", read_log(host.dir, other.signer.verifier(testing::kOrigin)));
}

TEST(AuditLog, TimeMayGoBackFiveMinutesAndIsThenHeldStill) {
  const TempFolder temp;
  HostLog host(temp / "log");
  const UnixTime start = host.clock.time;
  host.create();
  host.clock.time = start - 300;
  host.open().event("challenge", challenge_data(1));
  EXPECT_EQ(host.open().state().last_time, start);
  host.clock.time = start - 301;
  Log log = host.open();
  EXPECT_ERROR(Denied, "clock", log.event("challenge", challenge_data(2)));
  EXPECT_EQ(log.state().size, 2U) << "reading is no act";
}

TEST(AuditLog, TheAnchorMayLagOneAppendAndNeverLead) {
  const TempFolder temp;
  HostLog host(temp / "log");
  {
    Log log = host.create();
    log.event("challenge", challenge_data(1));
  }
  const AnchorState one = *host.anchor.state;
  const std::string entries = read_text(host.dir / "entries.jsonl"),
                    note = read_text(host.dir / "checkpoint");
  host.open().event("challenge", challenge_data(2));
  const AnchorState two = *host.anchor.state;
  host.anchor.state = one;
  host.open();
  EXPECT_EQ(*host.anchor.state, two) << "the anchor was not brought up to the checkpoint";

  host.open().event("challenge", challenge_data(3));
  host.anchor.state = one;
  EXPECT_ERROR(LogDamaged, "more than one append", host.open());
  host.anchor.state.reset();
  EXPECT_ERROR(LogDamaged, "gone from the token", host.open());
  host.anchor.state = two;
  write_text(host.dir / "entries.jsonl", entries);
  write_text(host.dir / "checkpoint", note);
  EXPECT_ERROR(LogDamaged, "entry 2 is missing", host.open());
  host.anchor.state = AnchorState{2, sha256(view("other"))};
  EXPECT_ERROR(LogDamaged, "not the one", host.open());
}

TEST(AuditLog, LinesWithoutACheckpointAreKeptApartAndRecordedOnce) {
  const TempFolder temp;
  HostLog host(temp / "log");
  host.create();
  const std::string note = read_text(host.dir / "checkpoint");
  host.open().event("challenge", challenge_data(1));
  const std::string whole = read_text(host.dir / "entries.jsonl");
  const std::string tail = whole.substr(whole.find('\n') + 1);
  for (std::size_t cut = 1; cut <= tail.size(); ++cut) {
    SCOPED_TRACE(cut);
    const TempFolder again;
    std::filesystem::copy(host.dir, again / "log");
    write_text(again / "log" / "entries.jsonl", whole.substr(0, whole.size() - tail.size() + cut));
    write_text(again / "log" / "checkpoint", note);
    HostLog crashed(again / "log");
    std::swap(crashed.signer, host.signer);
    crashed.anchored = false;
    {
      const Log log = crashed.open();
      EXPECT_TRUE(log.state().challenges.empty()) << "an unsigned line was adopted";
      ASSERT_EQ(log.state().quarantined.size(), 1U);
      EXPECT_EQ(read_text(again / "log" / *log.state().quarantined.begin()), tail.substr(0, cut));
      EXPECT_EQ(log.state().size, 2U);
    }
    EXPECT_EQ(crashed.open().state().size, 2U) << "the same lines were recorded twice";
    std::swap(crashed.signer, host.signer);
  }
}

// Eight processes, each opening, appending and closing under the lock.
TEST(AuditLog, EightProcessesAppendInOneOrder) {
  constexpr std::uint64_t kProcesses = 8, kEach = 12;
  constexpr unsigned kPatience = 300;  // seconds: one that hangs is killed, and its status says so
  const TempFolder temp;
  HostLog host(temp / "log");
  host.anchored = false;
  host.create();
  std::set<pid_t> children;
  for (std::uint64_t process = 0; process < kProcesses; ++process) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child != 0) {
      children.insert(child);
      continue;
    }
    alarm(kPatience);
    int status = 0;
    try {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        const Lock lock(temp / "lock", 120);
        host.open().event("challenge", challenge_data((process * kEach) + i));
      }
    } catch (const std::exception& error) {
      std::fprintf(stderr, "process %d: %s\n", getpid(), error.what());
      status = 1;
    }
    _exit(status);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  const LogCopy copy = read_log(host.dir, host.signer.verifier(testing::kOrigin));
  EXPECT_EQ(copy.checkpoint.size, 1 + (kProcesses * kEach));
  EXPECT_TRUE(copy.tail.empty());
  EXPECT_EQ(copy.state.challenges.size(), kProcesses * kEach);
  for (std::uint64_t i = 0; i < kProcesses * kEach; ++i)
    EXPECT_EQ(copy.state.challenges.count(from_hex(challenge_data(i)["nonce"].get<std::string>())), 1U) << i;
}

TEST(Lock, AWaiterIsToldWhoHoldsItAndGivesUp) {
  const TempFolder temp;
  const Lock held(temp / "lock", 0);
  std::string told;
  EXPECT_ERROR(Io, "another qpcseal holds the lock (process " + std::to_string(getpid()) + ")",
               Lock(temp / "lock", 0, [&](const std::string& who) { told = who; }));
}

TEST(Lock, ALinkIsNotFollowed) {
  const TempFolder temp;
  std::filesystem::create_symlink(temp / "elsewhere", temp / "lock");
  EXPECT_ERROR(Io, "lock", Lock(temp / "lock", 0));
  EXPECT_FALSE(std::filesystem::exists(temp / "elsewhere"));
}

}  // namespace
}  // namespace qpcseal::audit
