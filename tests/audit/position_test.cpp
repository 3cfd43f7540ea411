// SPDX-License-Identifier: Apache-2.0
// Where a writer goes on is the same by a snapshot and by a replay; and what the token's anchor says of it.
#include "appliance/audit/position.h"

#include <gtest/gtest.h>

#include "appliance/audit/anchor.h"
#include "appliance/audit/log.h"
#include "appliance/audit/mek_names.h"
#include "appliance/audit/snapshot.h"
#include "tests/audit/host_log.h"
#include "tests/audit/mek_histories.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::challenge_data;
using testing::HostLog;
using testing::read_text;
using testing::write_text;

// A log of seven entries: the snapshot has four, the last append three.
class Positions : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kInSnapshot = 4, kAll = 7;

  Positions() {
    host.every = 1;
    Log log = host.create();
    for (std::uint64_t i = 1; i < kInSnapshot; ++i) log.event("challenge", challenge_data(i));
    host.every = 1000;
    host.open().events("challenge", {challenge_data(5), challenge_data(6), challenge_data(7)});
    text = read_text(entries());
  }
  [[nodiscard]] std::filesystem::path entries() const { return host.dir / "entries.jsonl"; }
  [[nodiscard]] LogCursor resumed() const { return find_position(host.dir); }
  [[nodiscard]] LogCursor replayed() const { return find_position(host.dir, 0); }
  void expect_replayed(const std::string& why) const {
    const LogCursor at = resumed();
    EXPECT_EQ(at.in_snapshot, 0U) << why;
    EXPECT_EQ(at.state, replayed().state) << why;
  }
  // The snapshot with a change, signed by the log's key all the same.
  void change_snapshot(const std::function<void(Snapshot&)>& change) {
    auto opened = open_snapshot(share(copy(view(read_text(host.dir / "snapshot"))))).value();
    change(opened.snapshot);
    const Bytes bytes = sign_snapshot(opened.snapshot, opened.key, host.signer);
    write_text(host.dir / "snapshot", std::string(text_view(bytes)));
  }

  testing::TempFolder temp;
  HostLog host{temp / "log"};
  std::string text;
};

void expect_same(const LogCursor& a, const LogCursor& b) {
  EXPECT_EQ(a.state, b.state);
  EXPECT_EQ(a.tree.size(), b.tree.size());
  EXPECT_EQ(a.tree.root(), b.tree.root());
  EXPECT_EQ(a.checkpoint.size, b.checkpoint.size);
  EXPECT_EQ(a.checkpoint.root, b.checkpoint.root);
  EXPECT_EQ(a.note, b.note);
  EXPECT_EQ(a.key, b.key);
  EXPECT_EQ(a.end, b.end);
  EXPECT_EQ(a.written.peek(), b.written.peek());
  EXPECT_EQ(a.last_append, b.last_append);
  EXPECT_EQ(a.tail, b.tail);
}

TEST_F(Positions, AreTheSameByASnapshotAndByAReplay) {
  for (const char* tail : {"", "{\"cut\":"}) {
    write_text(entries(), text + tail);
    const LogCursor at = resumed();
    EXPECT_EQ(at.in_snapshot, kInSnapshot);
    EXPECT_EQ(at.last_append, kInSnapshot);
    EXPECT_EQ(at.end, text.size());
    EXPECT_EQ(at.tail, tail);
    EXPECT_EQ(at.state.size, kAll);
    EXPECT_EQ(replayed().in_snapshot, 0U);
    expect_same(at, replayed());
  }
}

TEST_F(Positions, TakeASnapshotOfSoManyEntriesAndNoMore) {
  EXPECT_EQ(find_position(host.dir, kInSnapshot).in_snapshot, kInSnapshot);
  EXPECT_EQ(find_position(host.dir, kInSnapshot - 1).in_snapshot, 0U);
}

TEST_F(Positions, BeginNoAppendBeforeTheSnapshotWhereItHasAll) {
  host.every = 1;
  static_cast<void>(host.open());
  const LogCursor at = resumed();
  EXPECT_EQ(at.in_snapshot, kAll);
  EXPECT_EQ(at.last_append, kAll) << "it may begin before";
  EXPECT_EQ(replayed().last_append, kInSnapshot);
}

// Each of these is signed by the log's key, and is not this log's.
TEST_F(Positions, PassASnapshotOverThatDoesNotFit) {
  const std::string good = read_text(host.dir / "snapshot");
  const auto passed_over = [&](const std::string& why, const std::function<void(Snapshot&)>& change) {
    change_snapshot(change);
    expect_replayed(why);
    write_text(host.dir / "snapshot", good);
  };
  passed_over("another digest of the entries", [](Snapshot& it) { it.digest[0] ^= 1; });
  passed_over("fewer bytes", [](Snapshot& it) { it.bytes -= 1; });
  passed_over("more bytes than there are", [](Snapshot& it) { it.bytes = UINT32_MAX; });
  passed_over("another state",
              [](Snapshot& it) { it.state.log_keys.back().vkey = "log.test+00000000+AA=="; });
  passed_over("another tree", [&](Snapshot& it) {
    it.tree = {};
    for (std::uint64_t i = 0; i < kInSnapshot; ++i) it.tree.append(tlog::leaf_hash(view("another")));
  });
  EXPECT_EQ(resumed().in_snapshot, kInSnapshot);
}

// Its digest is of all bytes, but the checkpoint says that entries stand behind them.
TEST_F(Positions, PassASnapshotOverThatLeavesEntriesOut) {
  change_snapshot([&](Snapshot& it) {
    PiecesDigest all;
    all.update(view(text));
    it.bytes = text.size();
    it.digest = all.peek();
  });
  expect_replayed("no line is left");
}

TEST_F(Positions, AreOfNoLogWithMoreThanOneAppendBehind) {
  const std::string note = read_text(host.dir / "checkpoint");
  host.anchored = false;
  host.open().event("challenge", challenge_data(8));
  host.open().event("challenge", challenge_data(9));
  write_text(host.dir / "checkpoint", note);
  EXPECT_ERROR(LogDamaged, "entry 7 and more stand behind the checkpoint", resumed());
}

TEST_F(Positions, HaveATreeOfAllEntriesWhereItIsAskedFor) {
  const LogCursor at = resumed();
  EXPECT_FALSE(at.tree.is_whole());
  write_text(entries(), text + "a line behind them\n");
  EXPECT_EQ(whole_tree(host.dir, at).leaf(0), tlog::leaf_hash(view(split_lines(text).front())));
  for (const std::string& other : {text.substr(0, text.size() - 1), std::string(), text.substr(1)}) {
    write_text(entries(), other);
    EXPECT_ERROR(LogDamaged, "changed while this command ran", whole_tree(host.dir, at)) << other.size();
  }
  write_text(entries(), text);
  const LogCursor whole = replayed();
  std::filesystem::remove(entries());
  EXPECT_EQ(whole_tree(host.dir, whole).root(), at.tree.root()) << "nothing is read again";
}

TEST(AnchorText, HasSizeAndRoot) {
  EXPECT_EQ(to_string(std::nullopt), "none");
  AnchorState anchor;
  EXPECT_EQ(to_string(anchor), "0 " + std::string(64, '0'));
  anchor.size = UINT64_MAX;
  anchor.root.fill(0xab);
  std::string root;
  for (int i = 0; i < 32; ++i) root += "ab";
  EXPECT_EQ(to_string(anchor), "18446744073709551615 " + root);
}

TEST(MekNames, AreLabelsAndNamesOfAllKeys) {
  EXPECT_TRUE(mek_names({}).empty());
  const State state = testing::state_with(
      {testing::mek_history(1, "a#b#12", 12, "ok"), testing::mek_history(2, "old#1", 1, "destroyed")});
  EXPECT_EQ(mek_names(state), (std::vector<std::string>{"a#b#12", "a#b", "old#1", "old"}));
}

}  // namespace
}  // namespace qpcseal::audit
