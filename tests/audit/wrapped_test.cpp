// SPDX-License-Identifier: Apache-2.0
// A release counts from its intent on, and no entry says less than what happened.
#include <gtest/gtest.h>

#include "appliance/audit/read.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::HostLog;
using testing::TempFolder;
using testing::wrapped_data;

const std::string kWrappedMek(32, '1'), kOther(32, '2'), kReport(64, 'e'), kFile(64, 'f');
const Bytes kCard = from_hex("0102030405060708");

encoding::Json intent_for(std::uint64_t challenge) {
  return {{"nonce", testing::challenge_data(challenge)["nonce"]},
          {"mek_id", kWrappedMek},
          {"mek", "m#1"},
          {"report_sha256", kReport},
          {"ueid", to_hex(kCard)},
          {"policy", testing::genesis_data()["policy"]}};
}

class Wrapped : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::string& id : {kWrappedMek, kOther})
      log.result(
          log.intent("mek-generate",
                     {{"mek_id", id}, {"label", id == kWrappedMek ? "m#1" : "n#1"}, {"generation", 1}}),
          "ok", encoding::Json::object());
    for (std::uint64_t i = 1; i < 5; ++i) {
      encoding::Json challenge = testing::challenge_data(i);
      challenge["mek_id"] = kWrappedMek;
      log.event("challenge", challenge);
    }
  }
  [[nodiscard]] std::uint64_t releases() const { return log.state().meks.at(from_hex(kWrappedMek)).releases; }
  [[nodiscard]] std::uint64_t to_card() const {
    const auto found = log.state().card_releases.find(kCard);
    return found == log.state().card_releases.end() ? 0 : found->second;
  }

  TempFolder dir;
  HostLog host{dir / "log"};
  Log log = host.create();
};

TEST_F(Wrapped, CountsFromTheIntentOn) {
  log.intent("release", intent_for(1));
  EXPECT_EQ(releases(), 1U);
  EXPECT_EQ(to_card(), 1U);
}

TEST_F(Wrapped, DeniedAndFailedBeforeTheWrapCountNothing) {
  for (const char* outcome : {"denied", "failed"}) {
    log.result(log.intent("release", intent_for(1)), outcome, encoding::Json::object());
    EXPECT_EQ(releases(), 0U) << outcome;
    EXPECT_EQ(to_card(), 0U) << outcome;
  }
}

TEST_F(Wrapped, UnknownCountsOnBothSidesOfTheWrap) {
  log.result(log.intent("release", intent_for(1)), "unknown", encoding::Json::object());
  const Txn second = log.intent("release", intent_for(2));
  log.wrapped({second}, {wrapped_data()});
  log.result(second, "unknown", encoding::Json::object());
  EXPECT_EQ(releases(), 2U);
  EXPECT_TRUE(log.state().releases.empty()) << "nobody knows that it was delivered";
}

TEST_F(Wrapped, OkIsARecordOfWhatWasWrapped) {
  const Txn txn = log.intent("release", intent_for(1));
  log.wrapped({txn}, {wrapped_data(kFile)});
  EXPECT_TRUE(log.state().open.at(txn.seq).is_wrapped());
  const std::uint64_t seq = log.result(txn, "ok", {{"wrapped_sha256", kFile}});
  const ReleaseRecord& record = log.state().releases.at(kFile);
  EXPECT_EQ(record.seq, seq);
  EXPECT_EQ(record.ueid, kCard);
  EXPECT_EQ(record.pub_sha256, encoding::text_member(wrapped_data(), "pub_sha256"));
}

TEST_F(Wrapped, NobodySaysThatAWrappedKeyDidNotLeave) {
  for (const std::string outcome : {"denied", "failed"}) {
    const Txn txn = host.open().intent("release", intent_for(outcome == "denied" ? 1 : 2));
    host.open().wrapped({txn}, {wrapped_data()});
    EXPECT_ERROR(Malformed, "of a key that was wrapped",
                 host.open().result(txn, outcome, encoding::Json::object()));
  }
}

TEST_F(Wrapped, NothingIsReleasedThatWasNotWrapped) {
  const Txn txn = host.open().intent("release", intent_for(1));
  EXPECT_ERROR(Malformed, "no key was wrapped", host.open().result(txn, "ok", {{"wrapped_sha256", kFile}}));
}

TEST_F(Wrapped, AnIntentHasOneWrap) {
  const Txn txn = host.open().intent("release", intent_for(1));
  host.open().wrapped({txn}, {wrapped_data(kFile)});
  EXPECT_ERROR(Malformed, "wrapped twice", host.open().wrapped({txn}, {wrapped_data(kFile)}));
}

TEST_F(Wrapped, NamesItsKeyByADigest) {
  encoding::Json without = wrapped_data();
  without.erase("wrapped_sha256");
  const Txn txn = host.open().intent("release", intent_for(1));
  EXPECT_ERROR(Malformed, "wrapped_sha256", host.open().wrapped({txn}, {without}));
  without = wrapped_data();
  without.erase("pub_sha256");
  EXPECT_ERROR(Malformed, "pub_sha256", host.open().wrapped({txn}, {without}));
}

TEST_F(Wrapped, FollowsAnIntentOfItsKindAndTransaction) {
  const Txn txn = host.open().intent("release", intent_for(1));
  EXPECT_ERROR(Malformed, "without its intent",
               host.open().wrapped({{txn.seq, kWrappedMek, "release"}}, {wrapped_data()}));
  EXPECT_ERROR(Malformed, "without its intent",
               host.open().wrapped({{txn.seq, txn.id, "mek-backup"}}, {wrapped_data()}));
  const Txn seal = host.open().intent("seal", {{"mek_id", kWrappedMek}, {"encryptions", 1}});
  EXPECT_ERROR(Malformed, "wraps nothing", host.open().wrapped({seal}, {wrapped_data()}));
}

TEST_F(Wrapped, AResultContradictsNeitherItsIntentNorWhatWasWrapped) {
  const std::vector<std::pair<const char*, encoding::Json>> others = {
      {"mek_id", kOther}, {"mek", "n#1"},           {"ueid", "01"},
      {"nonce", kFile},   {"report_sha256", kFile}, {"wrapped_sha256", kReport}};
  const Txn txn = host.open().intent("release", intent_for(1));
  for (const auto& [name, value] : others) {
    if (std::string(name) == "wrapped_sha256") continue;
    encoding::Json data = wrapped_data(kFile);
    data[name] = value;
    EXPECT_ERROR(Malformed, std::string("'") + name + "' contradicts", host.open().wrapped({txn}, {data}));
  }
  host.open().wrapped({txn}, {wrapped_data(kFile)});
  for (const auto& [name, value] : others)
    EXPECT_ERROR(Malformed, std::string("'") + name + "' contradicts",
                 host.open().result(txn, "ok", {{name, value}}));
}

// Of every kind: what a result says again is what its intent said.
TEST_F(Wrapped, NoKindsResultContradictsItsIntent) {
  const std::vector<std::pair<const char*, encoding::Json>> intents = {
      {"mek-backup", {{"mek_id", kWrappedMek}, {"encryptions", 1}}},
      {"seal", {{"mek_id", kWrappedMek}, {"encryptions", 1}}},
      {"policy", {{"serial", 2}, {"digest", kFile}, {"mek_id", kWrappedMek}}},
      {"recovery-key", {{"mek_id", kWrappedMek}}},
      {"mek-destroy", {{"mek_id", kWrappedMek}, {"mek", "m#1"}}}};
  for (const auto& [kind, data] : intents) {
    const Txn txn = host.open().intent(kind, data);
    for (const char* outcome : {"failed", "unknown"})
      EXPECT_ERROR(Malformed, "'mek_id' contradicts", host.open().result(txn, outcome, {{"mek_id", kOther}}))
          << kind;
  }
}

// The log's own key signed it: a reader refuses it all the same.
TEST_F(Wrapped, AReaderRefusesAContradictionThatTheLogsKeySigned) {
  const Txn txn = log.intent("release", intent_for(1));
  log.wrapped({txn}, {wrapped_data(kFile)});
  log.result(txn, "ok", {{"mek_id", kWrappedMek}, {"wrapped_sha256", kFile}});
  const std::string text = testing::read_text(host.dir / "entries.jsonl");
  const auto forge = [&](std::size_t from_end, void (*change)(Entry&)) {
    std::string out;
    tlog::Tree tree;
    const auto lines = split_lines(text);
    for (const std::string_view line : lines) {
      Entry entry = parse_entry(line);
      if (tree.size() > 0) entry.prev = tree.leaf(tree.size() - 1);
      if (tree.size() + from_end == lines.size()) change(entry);
      const std::string written = encode_entry(entry);
      tree.append(tlog::leaf_hash(view(written)));
      out += written + "\n";
    }
    testing::write_text(host.dir / "entries.jsonl", out);
    testing::write_text(host.dir / "checkpoint",
                        tlog::sign_checkpoint({tree.size(), tree.root()},
                                              host.signer.verifier(testing::kOrigin), host.signer));
    read_log(host.dir, std::nullopt);
  };
  EXPECT_NO_THROW(forge(1, [](Entry&) {}));
  EXPECT_ERROR(LogDamaged, "'mek_id' contradicts", forge(1, [](Entry& e) { e.data["mek_id"] = kOther; }));
  EXPECT_ERROR(LogDamaged, "that was wrapped", forge(1, [](Entry& e) { e.outcome = "failed"; }));
  EXPECT_ERROR(LogDamaged, "contradicts", forge(2, [](Entry& e) { e.data["mek_id"] = kOther; }));
}

// A run that goes on with another's intents appends for each by itself, so that a start can tell what a crash
// left behind the anchor from a rollback.
TEST_F(Wrapped, EntriesOfSeveralTransactionsAreSeveralAppends) {
  const std::vector<Txn> txns{log.intent("release", intent_for(1)), log.intent("release", intent_for(2))};
  const auto before = host.anchor.state;
  const unsigned signatures = host.signer.signatures;
  log.wrapped(txns, {wrapped_data(kFile), wrapped_data(kReport)});
  EXPECT_EQ(host.signer.signatures, signatures + 2);
  EXPECT_EQ(host.anchor.state->size, before->size + 2);
  const auto results =
      log.results({{txns[0], "ok", encoding::Json::object()}, {txns[1], "ok", encoding::Json::object()}});
  EXPECT_EQ(results, (std::vector<std::uint64_t>{log.state().size - 2, log.state().size - 1}));
  EXPECT_EQ(host.open().state(), log.state());
}

}  // namespace
}  // namespace qpcseal::audit
