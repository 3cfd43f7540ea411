// SPDX-License-Identifier: Apache-2.0
// A snapshot changes nothing but the time that a start takes.
#include "appliance/audit/snapshot.h"

#include <gtest/gtest.h>

#include <iostream>

#include "appliance/audit/log.h"
#include "appliance/audit/state_codec.h"
#include "base/error.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::challenge_data;
using testing::HostLog;
using testing::read_text;
using testing::write_text;

// Every kind of entry and member of the state.
void write_something_of_all(Log& log) {
  const std::string mek(32, '7'), report(64, 'e');
  log.result(log.intent("mek-generate", {{"mek_id", mek}, {"label", "m#1"}, {"generation", 1}}), "ok",
             encoding::Json::object());
  encoding::Json challenge = challenge_data(1);
  challenge["ueid"] = "0102030405060708";
  challenge["host"] = "host \xC3\xA9";
  challenge["device"] = 3;
  log.events("challenge", {challenge, challenge_data(2)});
  const encoding::Json release{{"nonce", challenge["nonce"]},
                               {"mek_id", mek},
                               {"mek", "m#1"},
                               {"report_sha256", report},
                               {"ueid", "0102030405060708"},
                               {"policy", testing::genesis_data()["policy"]},
                               {"approval", {{"nonce", std::string(64, 'f')}}}};
  const Txn released = log.intent("release", release);
  log.wrapped({released}, {testing::wrapped_data()});
  log.result(released, "ok", testing::release_result(release));
  const encoding::Json sealed{{"mek_id", mek}, {"encryptions", 5}};
  log.result(log.intent("seal", sealed), "ok",
             {{"manifest_sha256", report},
              {"partitions", encoding::Json::array({{{"manifest_sha256", std::string(64, 'a')}}})}});
  log.intent("seal", sealed);
  encoding::Json open = release;
  open["nonce"] = challenge_data(2)["nonce"];
  open.erase("approval");
  log.wrapped({log.intent("release", open)}, {testing::wrapped_data(std::string(64, 'c'))});
  log.result(log.intent("policy", {{"serial", 2}, {"digest", std::string(64, '1')}}), "ok",
             encoding::Json::object());
}

class Snapshots : public ::testing::Test {
 protected:
  void SetUp() override {
    host_.every = 1;
    Log log = host_.create();
    write_something_of_all(log);
    last_ = log.checkpoint();
  }
  [[nodiscard]] std::filesystem::path snapshot() const { return host_.dir / "snapshot"; }
  std::optional<OpenedSnapshot> open(std::string_view text) {
    return open_snapshot(share(copy(view(text))), host_.signer.type(), host_.signer.public_key());
  }
  OpenedSnapshot opened() { return open(read_text(snapshot())).value(); }
  State replayed() { return read_log(host_.dir, std::nullopt).state; }

  testing::TempFolder temp_;
  HostLog host_{temp_ / "log"};
  std::string last_;
};

TEST_F(Snapshots, HoldTheStateMemberByMember) {
  const State state = replayed();
  EXPECT_EQ(opened().snapshot.state, state);
  EXPECT_FALSE(state.genesis.empty());
  EXPECT_FALSE(state.challenges.empty());
  EXPECT_FALSE(state.meks.empty());
  EXPECT_FALSE(state.card_releases.empty());
  EXPECT_FALSE(state.svn_floors.empty());
  EXPECT_FALSE(state.crl_numbers.empty());
  EXPECT_FALSE(state.releases.empty());
  EXPECT_EQ(state.sealed.size(), 2U);
  EXPECT_FALSE(state.open.begin()->second.is_wrapped());
  EXPECT_TRUE(state.open.rbegin()->second.is_wrapped());
  EXPECT_FALSE(state.approvals_used.empty());
  EXPECT_FALSE(state.log_keys.empty());
  EXPECT_EQ(opened().snapshot.tree.root(), read_log(host_.dir, std::nullopt).tree.root());
}

TEST_F(Snapshots, ResumedAndReplayedLogsAreTheSame) {
  const State with = host_.open().state();
  std::filesystem::remove(snapshot());
  EXPECT_EQ(host_.open().state(), with);
  EXPECT_TRUE(std::filesystem::exists(snapshot())) << "a start that replayed the whole leaves a snapshot";
  host_.every = 1000;
  for (std::uint64_t i = 10; i < 14; ++i) host_.open().event("challenge", challenge_data(i));
  EXPECT_EQ(host_.open().state(), replayed());
  EXPECT_LT(opened().snapshot.state.size, replayed().size) << "the last entries were replayed";
}

TEST_F(Snapshots, ProofsAndEarlierRootsAreThereAllTheSame) {
  Log log = host_.open();
  const tlog::Tree tree = read_log(host_.dir, std::nullopt).tree;
  for (std::uint64_t size = 1; size <= tree.size(); ++size) EXPECT_EQ(log.tree().root(size), tree.root(size));
  log.event("challenge", challenge_data(20));
  EXPECT_EQ(log.tree().inclusion(0, log.state().size),
            read_log(host_.dir, std::nullopt).tree.inclusion(0, log.state().size));
}

TEST_F(Snapshots, AreNotWrittenAtEveryAppend) {
  host_.every = 8;
  Log log = host_.open();
  const std::string before = read_text(snapshot());
  for (std::uint64_t i = 10; i < 17; ++i) log.event("challenge", challenge_data(i));
  EXPECT_EQ(read_text(snapshot()), before);
  log.event("challenge", challenge_data(17));
  EXPECT_NE(read_text(snapshot()), before);
}

// Any damage: the log opens all the same, with the same state.
TEST_F(Snapshots, ADamagedOneIsPassedOver) {
  const std::string good = read_text(snapshot());
  const State state = replayed();
  std::size_t swept = 0;
  for (std::size_t i = 0; i < good.size(); ++i, ++swept) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    ASSERT_FALSE(open(bad)) << "byte " << i;
    ASSERT_FALSE(open(good.substr(0, i))) << i;
  }
  std::cout << swept << " bytes changed and cut\n";
  for (const std::string& bad :
       {std::string(), good.substr(0, good.size() / 2), good + "x", std::string(5000, 'x')}) {
    write_text(snapshot(), bad);
    EXPECT_EQ(host_.open().state(), state);
  }
}

TEST_F(Snapshots, AnotherKeysOneIsPassedOver) {
  HostLog other(temp_ / "other");
  OpenedSnapshot forged = opened();
  forged.snapshot.state.challenges.clear();
  const Bytes bytes = sign_snapshot(forged.snapshot, other.signer.verifier(testing::kOrigin), other.signer);
  EXPECT_FALSE(open(text_view(bytes)));
  write_text(snapshot(), std::string(text_view(bytes)));
  EXPECT_EQ(host_.open().state(), replayed());
  EXPECT_ERROR(Token, "does not accept",
               sign_snapshot(forged.snapshot, other.signer.verifier(testing::kOrigin), host_.signer));
}

TEST_F(Snapshots, OneThatContradictsItselfIsPassedOver) {
  OpenedSnapshot wrong = opened();
  wrong.snapshot.state.size += 1;
  EXPECT_FALSE(open(text_view(sign_snapshot(wrong.snapshot, wrong.key, host_.signer))));
}

TEST_F(Snapshots, AnOldEntryThatWasChangedIsStillFound) {
  const std::string good = read_text(host_.dir / "entries.jsonl");
  std::size_t swept = 0;
  for (std::size_t i = 0; i < good.size(); i += 7, ++swept) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    write_text(host_.dir / "entries.jsonl", bad);
    EXPECT_ERROR(LogDamaged, "entry", host_.open());
  }
  EXPECT_GT(swept, 100U);
}

// Behind the snapshot entries are replayed, and must give the checkpoint's root as well.
TEST_F(Snapshots, ANewEntryThatWasChangedIsFound) {
  host_.every = 1000;
  for (std::uint64_t i = 20; i < 23; ++i) host_.open().event("challenge", challenge_data(i));
  const std::string good = read_text(host_.dir / "entries.jsonl");
  const std::uint64_t last = replayed().size - 1;
  std::string bad = good;
  bad.replace(bad.rfind(R"("expires":1800003600)"), 20, R"("expires":1900003600)");
  write_text(host_.dir / "entries.jsonl", bad);
  EXPECT_ERROR(LogDamaged, "entry " + std::to_string(last) + " was changed", host_.open());
  write_text(host_.dir / "entries.jsonl", good);
  EXPECT_EQ(host_.open().state().size, last + 1);
}

TEST_F(Snapshots, AnOlderCheckpointBehindOneIsFound) {
  host_.every = 1000;
  host_.anchored = false;
  for (std::uint64_t i = 20; i < 23; ++i) host_.open().event("challenge", challenge_data(i));
  write_text(host_.dir / "checkpoint", last_);
  EXPECT_ERROR(LogDamaged, "and more stand behind", host_.open());
}

TEST_F(Snapshots, TheWholeTreeIsReadAgainAndMustBeTheSame) {
  Log log = host_.open();
  std::string text = read_text(host_.dir / "entries.jsonl");
  text.replace(text.find("m#1"), 3, "n#1");
  write_text(host_.dir / "entries.jsonl", text);
  EXPECT_ERROR(LogDamaged, "changed while this command ran", log.tree());
}

TEST_F(Snapshots, OneAheadOfTheLogIsPassedOverAndTheAnchorDecides) {
  const std::string entries = read_text(host_.dir / "entries.jsonl"), note = last_;
  host_.open().event("challenge", challenge_data(20));
  write_text(host_.dir / "entries.jsonl", entries);
  write_text(host_.dir / "checkpoint", note);
  EXPECT_ERROR(LogDamaged, "rolled back", host_.open());
  host_.anchored = false;
  EXPECT_EQ(host_.open().state(), replayed());
}

TEST_F(Snapshots, AnAnchorBehindTheSnapshotIsJudgedByTheWholeLog) {
  const AnchorState before = *host_.anchor.state;
  host_.open().event("challenge", challenge_data(20));
  host_.anchor.state = before;
  EXPECT_EQ(host_.open().state(), replayed()) << "one append behind";
  host_.open().event("challenge", challenge_data(21));
  host_.anchor.state = before;
  EXPECT_ERROR(LogDamaged, "more than one append", host_.open());
}

TEST_F(Snapshots, ALineWithoutACheckpointBehindOneGoesToQuarantine) {
  const std::string note = last_, snapshot_then = read_text(snapshot());
  const AnchorState anchor = *host_.anchor.state;
  host_.open().event("challenge", challenge_data(20));
  write_text(host_.dir / "checkpoint", note);
  write_text(snapshot(), snapshot_then);
  host_.anchor.state = anchor;
  const Log log = host_.open();
  EXPECT_EQ(log.state().quarantined.size(), 1U);
  EXPECT_EQ(log.state(), replayed());
}

TEST_F(Snapshots, AFolderThatTakesNoSnapshotDoesNotFailAnAppend) {
  std::filesystem::remove(snapshot());
  std::filesystem::create_directory(snapshot());
  host_.open().event("challenge", challenge_data(20));
  EXPECT_EQ(host_.open().state(), replayed());
}

TEST(StateCodec, RefusesWhatItDoesNotWrite) {
  Bytes bytes;
  encode_state(bytes, State{});
  const auto decode = [](const Bytes& text) {
    ByteReader reader(text, "state");
    State state = decode_state(reader);
    reader.expect_end();
    return state;
  };
  EXPECT_EQ(decode(bytes), State{});
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_ERROR(Malformed, "truncated",
                 decode(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))));
  // genesis "null"; the site: two empty texts, a list, a truth, a number, a list, a truth, an empty
  // text; two numbers, three empty texts
  constexpr std::size_t kAccepted = 66;
  Bytes bad = bytes;
  ASSERT_EQ(bad[kAccepted], 0U);
  bad[kAccepted] = 2;
  EXPECT_ERROR(Malformed, "neither true nor false", decode(bad));
  bad = bytes;
  bad[bad.size() - 4] = 0xff;  // the last map's count
  EXPECT_ERROR(Malformed, "more items than bytes", decode(bad));
  State drilled;
  drilled.drills = {{{'a'}, 1}, {{'b'}, 2}};
  bad.clear();
  encode_state(bad, drilled);
  EXPECT_EQ(decode(bad), drilled);
  std::ranges::replace(bad, 'a', 'c');
  EXPECT_ERROR(Malformed, "a map that is not in order", decode(bad));
  State two;
  two.quarantined = {"a", "b"};
  Bytes swapped;
  encode_state(swapped, two);
  const auto a = std::ranges::search(swapped, std::string_view("a")).begin();
  const auto b = std::ranges::search(swapped, std::string_view("b")).begin();
  std::iter_swap(a, b);
  EXPECT_ERROR(Malformed, "order", decode(swapped));
}

}  // namespace
}  // namespace qpcseal::audit
