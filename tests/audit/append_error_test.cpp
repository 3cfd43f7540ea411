// SPDX-License-Identifier: Apache-2.0
// How far an append came that failed: the checkpoint on disk decides, and what the log says of it is what a
// reader finds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "appliance/audit/log.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/syscall_spy.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::challenge_data;
using testing::FileCall;
using testing::HostLog;
using testing::SpyScope;
using testing::TempFolder;

// A token that refuses to keep the anchor as often as it is told to.
class SickAnchor final : public Anchor {
 public:
  std::optional<AnchorState> read() override { return state; }
  void write(const AnchorState& now) override {
    if (failures > 0) {
      --failures;
      throw Error(ErrorKind::Token, "C_CreateObject(log anchor): CKR_DEVICE_MEMORY");
    }
    state = now;
  }
  std::optional<AnchorState> state;
  unsigned failures = 0;
};

class AppendErrors : public ::testing::Test {
 protected:
  AppendErrors() { open(Log::create(settings(), host_.signer, testing::kOrigin, testing::genesis_data())); }
  void open(Log log) { log_.emplace(std::move(log)); }
  Log& log() { return *log_; }
  LogSettings settings() {
    LogSettings out = host_.settings();
    out.anchor = &anchor_;
    out.status = noted_ ? &status_ : nullptr;
    return out;
  }
  void reopen(bool noted) {
    noted_ = noted;
    open(Log::open(settings(), host_.signer));
    status_ = {};
  }
  // Fails the first call of that name.
  template <typename Act>
  std::optional<Appended> with_failing(const std::string& call, const std::string& file, Act act) {
    bool failed = false;
    SpyScope spy;
    spy->fail = [&](const FileCall& made) {
      const bool same = file.starts_with("/") ? made.file == file : made.file.find(file) != std::string::npos;
      if (failed || made.call != call || !same) return 0;
      failed = true;
      return EIO;
    };
    return appended(act);
  }
  template <typename Act>
  static std::optional<Appended> appended(Act act) {
    try {
      act();
    } catch (const AppendError& error) {
      return error.appended();
    }
    return std::nullopt;
  }
  // What a reader finds in the folder.
  std::uint64_t size_on_disk() {
    return read_log(host_.dir, host_.signer.verifier(testing::kOrigin)).checkpoint.size;
  }
  std::uint64_t next() { return log().event("challenge", challenge_data(number_++)); }

  TempFolder temp_;
  HostLog host_{temp_ / "log"};
  SickAnchor anchor_;
  AppendStatus status_;
  bool noted_ = false;
  std::optional<Log> log_;
  std::uint64_t number_ = 1;
};

TEST_F(AppendErrors, BeforeTheNewCheckpointHasItsNameNothingIsInTheLog) {
  const std::pair<const char*, const char*> calls[] = {{"pwrite", "entries.jsonl"},
                                                       {"fdatasync", "entries.jsonl"},
                                                       {"pwrite", "checkpoint"},
                                                       {"fsync", "checkpoint"},
                                                       {"rename", "checkpoint"}};
  for (const auto& [call, file] : calls) {
    SCOPED_TRACE(std::string(call) + " " + file);
    reopen(true);
    const std::uint64_t before = size_on_disk();
    EXPECT_EQ(with_failing(call, file, [&] { next(); }), Appended::Nothing);
    EXPECT_EQ(size_on_disk(), before);
    EXPECT_FALSE(status_.acted);
    EXPECT_THAT(status_.faults, ::testing::IsEmpty());
  }
}

TEST_F(AppendErrors, BehindTheCheckpointsNameTheEntryIsInTheLog) {
  reopen(false);
  const std::uint64_t before = size_on_disk();
  EXPECT_EQ(with_failing("fsync", host_.dir.string(), [&] { next(); }), Appended::Durable);
  EXPECT_EQ(size_on_disk(), before + 1);
  EXPECT_EQ(appended([&] { next(); }), Appended::Nothing);  // but this writer ends
}

TEST_F(AppendErrors, ACheckpointThatCannotBeReadBackTellsNothing) {
  reopen(true);
  const std::filesystem::path note = host_.dir / "checkpoint";
  SpyScope spy;
  spy->fail = [&](const FileCall& made) {
    if (made.call != "rename") return 0;
    std::filesystem::remove(note);
    std::filesystem::create_directory(note);
    return EIO;
  };
  EXPECT_EQ(appended([&] { next(); }), Appended::Unknown);
}

TEST_F(AppendErrors, AnAnchorThatFailsDoesNotMakeTheActFail) {
  reopen(true);
  anchor_.failures = 1;
  const std::uint64_t seq = next();
  EXPECT_EQ(size_on_disk(), seq + 1);
  EXPECT_TRUE(status_.acted);
  EXPECT_THAT(status_.faults,
              ::testing::ElementsAre(::testing::HasSubstr("anchor could not be renewed: C_Create")));
  EXPECT_EQ(anchor_.state->size, seq);
  next();  // which renews the anchor twice
  EXPECT_EQ(anchor_.state->size, seq + 2);
  EXPECT_EQ(status_.faults.size(), 1U);
}

// Two behind would be taken for a token that was put back.
TEST_F(AppendErrors, AnAnchorIsNeverLeftTwoAppendsBehind) {
  reopen(true);
  anchor_.failures = 2;
  const std::uint64_t seq = next();
  EXPECT_EQ(appended([&] { next(); }), Appended::Nothing);
  EXPECT_EQ(size_on_disk(), seq + 1);
  reopen(true);
  next();
  EXPECT_EQ(anchor_.state->size, size_on_disk());
}

TEST_F(AppendErrors, AnIntentWhoseAnchorFailsBeginsNoAct) {
  reopen(true);
  anchor_.failures = 1;
  EXPECT_EQ(appended([&] { log().intent("mek-drill", encoding::Json::object()); }), Appended::Durable);
  EXPECT_FALSE(status_.acted);
  EXPECT_THAT(status_.faults, ::testing::IsEmpty());
}

// A copy of the home went on with the token: what it remembers of that one is not written over.
TEST_F(AppendErrors, AnAnchorOfAnotherLogStaysAndEndsTheWriter) {
  for (const bool ahead : {true, false}) {
    anchor_.state = AnchorState{size_on_disk(), log().tree().root()};
    reopen(true);
    next();
    AnchorState other{anchor_.state->size + (ahead ? 1 : 0), {}};
    anchor_.state = other;
    next();
    EXPECT_THAT(status_.faults,
                ::testing::ElementsAre(::testing::HasSubstr("the token remembers another log (anchor " +
                                                            to_string(anchor_.state) + "): a copy")));
    EXPECT_EQ(appended([&] { next(); }), Appended::Nothing);
    EXPECT_EQ(anchor_.state, other);
  }
}

TEST_F(AppendErrors, WithoutAPlaceForItTheFailureIsThrown) {
  reopen(false);
  anchor_.failures = 1;
  const std::uint64_t before = size_on_disk();
  EXPECT_ERROR(Token, "anchor could not be renewed", next());
  EXPECT_EQ(size_on_disk(), before + 1);
}

}  // namespace
}  // namespace qpcseal::audit
