// SPDX-License-Identifier: Apache-2.0
// What an append leaves on disk when the power fails, at every moment of it: a log that opens, with all that
// was acknowledged and nothing that was not signed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <iostream>
#include <map>
#include <set>

#include "appliance/audit/log.h"
#include "base/error.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/syscall_spy.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::challenge_data;
using ::testing::ElementsAre;
using testing::FileCall;
using testing::HostLog;
using testing::read_text;
using testing::SpyScope;
using testing::write_text;

using Contents = std::map<std::string, std::string>;  // by name

// A folder as POSIX lets a power failure leave it. A file's content is sure from its sync on, its name from
// the sync of the folder on; until then any of it may be there or not, and of a write the first part alone.
class Disk {
 public:
  explicit Disk(std::filesystem::path dir) : folder_(std::move(dir)) {
    for (const auto& item : std::filesystem::directory_iterator(folder_))
      names_[item.path().filename()] = {read_text(item.path())};
    sure_ = names_;
  }

  void note(const FileCall& call) {
    const std::filesystem::path path = call.file;
    if (path == folder_) sure_ = names_;
    if (path.parent_path() != folder_) return;
    const std::string name = path.filename();
    if (!call.to.empty()) {
      names_[std::filesystem::path(call.to).filename()] = names_.extract(name).mapped();
    } else if (call.call == "unlink") {
      names_.erase(name);
    } else {
      const bool synced = call.call.ends_with("sync");
      change(names_[name], read_text(path), synced);
      if (sure_.contains(name)) change(sure_[name], read_text(path), synced);
    }
  }

  // Every folder that may be there after a power failure now.
  [[nodiscard]] std::vector<Contents> states() const {
    std::vector<Contents> out{{}};
    Names all = names_;
    all.insert(sure_.begin(), sure_.end());
    for (const auto& [name, unused] : all) out = times(out, name);
    return out;
  }

 private:
  using File = std::vector<std::string>;  // the contents that it may have, the last one now
  using Names = std::map<std::string, File>;

  static void change(File& file, const std::string& now, bool synced) {
    if (file.empty()) file.emplace_back();
    const std::string& before = file.back();
    const auto same = static_cast<std::size_t>(std::ranges::mismatch(before, now).in1 - before.begin());
    file.push_back(now.substr(0, same + ((now.size() - same) / 2)));
    file.push_back(now);
    if (synced) file = {now};
  }
  // What each folder becomes with one file more, or without it.
  [[nodiscard]] std::vector<Contents> times(const std::vector<Contents>& folders,
                                            const std::string& name) const {
    std::set<std::optional<std::string>> may_be;
    for (const Names* names : {&names_, &sure_}) {
      const auto found = names->find(name);
      if (found == names->end()) may_be.insert(std::nullopt);
      if (found != names->end()) may_be.insert(found->second.begin(), found->second.end());
    }
    std::vector<Contents> out;
    for (const Contents& dir : folders) {
      for (const auto& content : may_be) {
        out.push_back(dir);
        if (content) out.back()[name] = *content;
      }
    }
    return out;
  }

  std::filesystem::path folder_;
  Names names_, sure_;  // as they are now; as the folder was when it was synced
};

// A token's anchor, and who is told of each write.
class ToldAnchor final : public Anchor {
 public:
  std::optional<AnchorState> read() override { return state; }
  void write(const AnchorState& now) override {
    state = now;
    if (after) after();
  }
  std::optional<AnchorState> state;
  std::function<void()> after;
};

// What was there at one moment, and how many challenges had been acknowledged.
struct Moment {
  std::vector<Contents> folders;
  std::optional<AnchorState> anchor;
  std::size_t acknowledged = 0;
  std::string call;
};

class Durable : public ::testing::Test {
 protected:
  [[nodiscard]] LogSettings settings(const std::filesystem::path& dir, ToldAnchor* anchor) {
    LogSettings out = host_.settings();
    out.dir = dir;
    out.anchor = anchor;
    return out;
  }
  Log open() { return Log::open(settings(host_.dir, &anchor_), host_.signer); }
  void create() {
    Log log =
        Log::create(settings(host_.dir, &anchor_), host_.signer, testing::kOrigin, testing::genesis_data());
    acknowledge(log);
  }
  void acknowledge(Log& log) {
    log.event("challenge", challenge_data(acknowledged_));
    ++acknowledged_;
    if (disk_) remember("return");
  }
  void remember(const std::string& call) {
    moments_.push_back({disk_->states(), anchor_.state, acknowledged_, call});
  }

  // `act`, with a look at the disk after each call that it makes.
  template <typename Act>
  void watched(Act act) {
    disk_.emplace(host_.dir);
    anchor_.after = [&] { remember(calls_.emplace_back("anchor")); };
    SpyScope spy;
    spy->after = [&](const FileCall& call) {
      const std::string name = std::filesystem::path(call.file).filename();
      disk_->note(call);
      remember(calls_.emplace_back(call.call + " " + name.substr(0, name.find(".tmp-"))));
    };
    act();
    anchor_.after = {};
  }

  // Each folder of each moment opens, with what must be there, and goes on.
  void expect_all_recover() {
    std::size_t count = 0;
    for (const Moment& moment : moments_) {
      for (const Contents& dir : moment.folders) {
        SCOPED_TRACE(moment.call + ", " + std::to_string(moment.acknowledged) + " acknowledged");
        try {
          expect_recovers(dir, moment);
        } catch (const Error& error) {
          ADD_FAILURE() << error.what();
        }
        ++count;
        if (HasFailure()) return;
      }
    }
    std::cout << moments_.size() << " moments, " << count << " states of the disk\n";
    EXPECT_GT(count, moments_.size());
  }
  void expect_recovers(const Contents& contents, const Moment& moment) {
    const testing::TempFolder temp;
    const std::filesystem::path dir = temp / "log";
    std::filesystem::create_directory(dir);
    for (const auto& [name, text] : contents) write_text(dir / name, text);
    ToldAnchor anchor;
    anchor.state = moment.anchor;
    {
      Log log = Log::open(settings(dir, &anchor), host_.signer);
      for (std::size_t i = 0; i < moment.acknowledged; ++i)
        EXPECT_TRUE(
            log.state().challenges.contains(from_hex(encoding::text_member(challenge_data(i), "nonce"))))
            << i;
      log.event("challenge", challenge_data(1000));
    }
    const LogCopy copy = read_log(dir, std::nullopt);
    EXPECT_TRUE(copy.tail.empty());
    const std::uint64_t covered = tlog::claimed_size(contents.at("checkpoint"));
    const std::uint64_t end = copy.lines.start(covered);
    EXPECT_EQ(read_text(dir / "entries.jsonl").substr(0, end), contents.at("entries.jsonl").substr(0, end));
    for (std::uint64_t i = covered; i + 1 < copy.checkpoint.size; ++i)
      EXPECT_EQ(parse_entry(copy.line(i)).kind, "recovery") << "an unsigned line was adopted, entry " << i;
  }

  testing::TempFolder temp_;
  HostLog host_{temp_ / "log"};
  ToldAnchor anchor_;
  std::size_t acknowledged_ = 0;
  std::optional<Disk> disk_;
  std::vector<Moment> moments_;
  std::vector<std::string> calls_;
};

TEST_F(Durable, AnAppendReturnsAfterEntriesCheckpointAndFolderAreSynced) {
  create();
  Log log = open();
  watched([&] { acknowledge(log); });
  EXPECT_THAT(calls_, ElementsAre("pwrite entries.jsonl", "fdatasync entries.jsonl", "pwrite .checkpoint",
                                  "fsync .checkpoint", "rename .checkpoint", "fsync log", "anchor"));
}

TEST_F(Durable, NoMomentOfAnAppendLosesWhatWasAcknowledged) {
  create();
  Log log = open();
  watched([&] {
    acknowledge(log);
    log.intent("mek-generate", {{"mek_id", std::string(32, '7')}, {"label", "m#1"}, {"generation", 1}});
    acknowledge(log);
    log.events("challenge", {challenge_data(500), challenge_data(501), challenge_data(502)});
    acknowledge(log);
  });
  expect_all_recover();
}

TEST_F(Durable, NorDoesOneThatLeavesASnapshot) {
  host_.every = 1;
  create();
  Log log = open();
  watched([&] {
    acknowledge(log);
    acknowledge(log);
  });
  EXPECT_THAT(calls_, ::testing::Contains("rename .snapshot"));
  expect_all_recover();
}

// Lines that no checkpoint covers, moved to quarantine: cut short at any moment, the next run does it.
TEST_F(Durable, NoMomentOfARecoveryLosesWhatWasAcknowledged) {
  create();
  {
    Log log = open();
    acknowledge(log);
  }
  const std::string note = read_text(host_.dir / "checkpoint");
  const auto anchor = anchor_.state;
  open().event("challenge", challenge_data(500));
  write_text(host_.dir / "checkpoint", note);
  anchor_.state = anchor;
  watched([&] { EXPECT_EQ(open().state().quarantined.size(), 1U); });
  EXPECT_THAT(calls_, ::testing::Contains("ftruncate entries.jsonl"));
  expect_all_recover();
}

// Each call of an append fails once: nothing is acknowledged, nothing more is written, the next run goes on.
TEST_F(Durable, ACallThatFailsEndsTheWriter) {
  create();
  {
    Log log = open();
    watched([&] { acknowledge(log); });
  }
  const std::size_t calls = calls_.size() - 1;  // without the anchor
  for (std::size_t which = 0; which < calls; ++which) {
    for (const int code : {EIO, ENOSPC}) {
      SCOPED_TRACE(calls_[which]);
      Log log = open();
      std::size_t made = 0;
      {
        SpyScope spy;
        spy->fail = [&](const FileCall&) { return made++ == which ? code : 0; };
        EXPECT_ERROR(Io, "/log",
                     log.event("challenge", challenge_data(100 + (2 * which) + (code == EIO ? 0 : 1))));
      }
      EXPECT_GT(made, which);
      EXPECT_ERROR(Io, "nothing more is done", log.event("challenge", challenge_data(900)));
      EXPECT_TRUE(
          open().state().challenges.contains(from_hex(encoding::text_member(challenge_data(0), "nonce"))));
      EXPECT_FALSE(
          open().state().challenges.contains(from_hex(encoding::text_member(challenge_data(900), "nonce"))));
    }
  }
}

}  // namespace
}  // namespace qpcseal::audit
