// SPDX-License-Identifier: Apache-2.0
// Logs by somebody who has the files and knows the format, but not the key: nothing of them is believed, and
// the message names the first bad entry where the log itself can tell.
#include <gtest/gtest.h>

#include "appliance/audit/log.h"
#include "base/error.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::challenge_data;
using testing::HostLog;
using testing::HostSigner;
using testing::read_text;
using testing::write_text;

class Forged : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kEntries = 6;

  void SetUp() override {
    Log log = host_.create();
    for (std::uint64_t i = 1; i < kEntries; ++i) log.event("challenge", challenge_data(i));
    const std::string text = read_text(entries());
    for (const std::string_view line : split_lines(text)) lines_.emplace_back(line);
  }
  [[nodiscard]] std::filesystem::path entries() const { return host_.dir / "entries.jsonl"; }
  [[nodiscard]] std::filesystem::path checkpoint() const { return host_.dir / "checkpoint"; }
  [[nodiscard]] tlog::VerifierKey key() const { return host_.signer.verifier(testing::kOrigin); }
  [[nodiscard]] tlog::VerifierKey thiefs() const { return thief_.verifier(testing::kOrigin); }

  // Each of these in its place: number and hash of the one before are made to fit.
  static std::vector<std::string> chained(std::vector<Entry> entries) {
    std::vector<std::string> out;
    tlog::Hash prev{};
    for (Entry& entry : entries) {
      entry.seq = out.size();
      entry.prev = prev;
      out.push_back(encode_entry(entry));
      prev = tlog::leaf_hash(view(out.back()));
    }
    return out;
  }
  [[nodiscard]] std::vector<Entry> parsed() const {
    std::vector<Entry> out;
    for (const std::string& line : lines_) out.push_back(parse_entry(line));
    return out;
  }
  void put(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    write_text(entries(), text);
  }
  // With a checkpoint by the thief, who calls himself by the log's name.
  void put_signed(const std::vector<std::string>& lines) {
    put(lines);
    tlog::Tree tree;
    for (const std::string& line : lines) tree.append(tlog::leaf_hash(view(line)));
    write_text(checkpoint(), tlog::sign_checkpoint({tree.size(), tree.root()}, thiefs(), thief_));
  }
  void expect_refused(const std::string& words) {
    for (const Check check : {Check::Everything, Check::Proofs})
      EXPECT_ERROR(LogDamaged, words, read_log(host_.dir, key(), check));
    EXPECT_ERROR(LogDamaged, "the audit log ", host_.open());
  }

  testing::TempFolder temp_;
  HostLog host_{temp_ / "log"};
  HostSigner thief_{tlog::KeyType::Ed25519};
  std::vector<std::string> lines_;
};

TEST_F(Forged, AnInsertedEntryThatFollowsTheOneBeforeIsNamed) {
  for (std::uint64_t i = 1; i < kEntries; ++i) {
    Entry entry = parse_entry(lines_[i]);
    entry.data = challenge_data(100);
    auto bad = lines_;
    bad.insert(bad.begin() + static_cast<std::ptrdiff_t>(i), encode_entry(entry));
    put(bad);
    expect_refused("entry " + std::to_string(i) + " was ");
  }
}

TEST_F(Forged, AnotherGenesisBeforeTheLogsIsNamed) {
  Entry genesis = parse_entry(lines_[0]);
  genesis.data["policy"]["serial"] = 9;
  auto bad = lines_;
  bad.insert(bad.begin(), encode_entry(genesis));
  put(bad);
  expect_refused("entry 0 was inserted");
}

// Who writes all that follows anew leaves no trace in the entries; the signed root alone tells.
TEST_F(Forged, AHistoryWrittenAnewFromAnyEntryOnIsFound) {
  for (std::uint64_t i = 0; i < kEntries; ++i) {
    auto history = parsed();
    if (i == 0) history[i].data["policy"]["serial"] = 9;
    if (i > 0) history[i].data = challenge_data(100);
    put(chained(history));
    expect_refused("entry " + std::to_string(kEntries - 1) +
                   " was changed after it was written, or so was one");
  }
}

TEST_F(Forged, EntriesLeftOutAndWrittenAnewAreFound) {
  for (std::uint64_t i = 1; i < kEntries; ++i) {
    auto history = parsed();
    history.erase(history.begin() + static_cast<std::ptrdiff_t>(i));
    put(chained(history));
    expect_refused("entry " + std::to_string(kEntries - 1) + " is missing");
  }
}

TEST_F(Forged, ACheckpointOfAnotherKeyIsNone) {
  put_signed(lines_);
  expect_refused("not signed by");
  auto history = parsed();
  history[0].data["log_key"] = thiefs().text();
  put_signed(chained(history));
  for (const Check check : {Check::Everything, Check::Proofs})
    EXPECT_ERROR(Denied, "another key", read_log(host_.dir, key(), check));
  EXPECT_ERROR(LogDamaged, "the audit log ", host_.open());
  EXPECT_EQ(read_log(host_.dir, std::nullopt).key, thiefs()) << "agrees with itself, and that is all it says";
}

TEST_F(Forged, ARotationToAKeyThatTheLogsDidNotSignIsNone) {
  auto history = parsed();
  Entry intent = history.back(), result = history.back();
  intent.kind = result.kind = "rotate-key";
  intent.phase = Phase::Intent;
  intent.data = {{"label", "two"}};
  result.phase = Phase::Result;
  result.intent = kEntries;
  result.outcome = "ok";
  result.data = {{"log_key", thiefs().text()},
                 {"previous", key().text()},
                 {"signature", to_base64(thief_.sign(rotation_message(thiefs())))}};
  history.push_back(intent);
  history.push_back(result);
  put_signed(chained(history));
  expect_refused("entry 7: the log's key did not sign");
  history.back().data["previous"] = thiefs().text();
  put_signed(chained(history));
  expect_refused("entry 7: the log's key did not sign");
}

// The log's own signatures, but not in this order: each checkpoint with each number of entries.
TEST_F(Forged, ACheckpointOfAnotherMomentIsFound) {
  std::vector<std::string> notes;
  const testing::TempFolder other;
  HostLog again(other / "log");
  std::swap(again.signer, host_.signer);
  {
    Log log = again.create();
    notes.push_back(log.checkpoint());
    for (std::uint64_t i = 1; i < kEntries; ++i) {
      log.event("challenge", challenge_data(i));
      notes.push_back(log.checkpoint());
    }
  }
  std::swap(again.signer, host_.signer);
  const std::string text = read_text(again.dir / "entries.jsonl");
  std::vector<std::string> theirs;
  for (const std::string_view line : split_lines(text)) theirs.emplace_back(line);
  for (std::size_t size = 1; size <= kEntries; ++size) {
    for (std::size_t signed_ = 1; signed_ <= kEntries; ++signed_) {
      put({theirs.begin(), theirs.begin() + static_cast<std::ptrdiff_t>(size)});
      write_text(checkpoint(), notes[signed_ - 1]);
      if (size < signed_) expect_refused("entry " + std::to_string(size) + " is missing");
      if (size > signed_ + 1) expect_refused("entry " + std::to_string(signed_) + " and more stand behind");
    }
  }
}

// One append behind the checkpoint, well made: put aside, and its challenge is none.
TEST_F(Forged, ALineBehindTheCheckpointIsNotAdopted) {
  auto history = parsed();
  history.push_back(history.back());
  history.back().txn = std::string(32, 'f');
  history.back().data = challenge_data(100);
  put(chained(history));
  const std::string line = read_text(entries()).substr(read_text(entries()).rfind("{\"data\""));
  const State state = host_.open().state();
  EXPECT_FALSE(state.challenges.contains(from_hex(encoding::text_member(challenge_data(100), "nonce"))));
  ASSERT_EQ(state.quarantined.size(), 1U);
  EXPECT_EQ(read_text(host_.dir / *state.quarantined.begin()), line);
  const Entry recovery = parse_entry(read_log(host_.dir, key()).line(kEntries));
  EXPECT_EQ(recovery.kind, "recovery");
  EXPECT_EQ(encoding::text_member(recovery.data, "sha256"), sha256_hex(line));
}

TEST_F(Forged, AnOlderLogPutBackWholeIsFoundByTheAnchor) {
  const std::string text = read_text(entries()), note = read_text(checkpoint());
  host_.open().event("challenge", challenge_data(200));
  write_text(entries(), text);
  write_text(checkpoint(), note);
  read_log(host_.dir, key());
  EXPECT_ERROR(LogDamaged, "entry 6 is missing", host_.open());
}

}  // namespace
}  // namespace qpcseal::audit
