// SPDX-License-Identifier: Apache-2.0
// Entries that cannot follow, whoever signed them: the replay refuses each, and says why.
#include <gtest/gtest.h>

#include "appliance/audit/log.h"
#include "base/error.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

std::string hex_text(std::size_t bytes, char digit) { return std::string(2 * bytes, digit); }
const std::string kFirstOf = hex_text(16, '1'), kSecondOf = hex_text(16, '2'), kDigest = hex_text(32, 'd'),
                  kTxn = hex_text(16, 'a');

class Replay : public ::testing::Test {
 protected:
  void SetUp() override { begin(nullptr); }
  void begin(const encoding::Json& officers) {
    state = State();
    encoding::Json data = testing::genesis_data();
    data["officers"] = officers;
    data["log_key"] = testing::HostSigner(tlog::KeyType::Ed25519).verifier("log.test").text();
    event("genesis", data);
  }
  std::uint64_t append(Entry entry) {
    entry.seq = state.size;
    if (entry.time == 0) entry.time = state.last_time;
    if (entry.txn.empty()) entry.txn = kTxn;
    state.apply(entry);
    return entry.seq;
  }
  static Entry of(const std::string& kind, Phase phase, encoding::Json data) {
    Entry entry;
    entry.kind = kind;
    entry.phase = phase;
    entry.data = std::move(data);
    return entry;
  }
  std::uint64_t event(const std::string& kind, encoding::Json data) {
    return append(of(kind, Phase::Event, std::move(data)));
  }
  std::uint64_t intent(const std::string& kind, encoding::Json data) {
    return append(of(kind, Phase::Intent, std::move(data)));
  }
  void wrapped(const std::string& kind, std::uint64_t of_intent, encoding::Json data) {
    Entry entry = of(kind, Phase::Wrapped, std::move(data));
    entry.intent = of_intent;
    append(entry);
  }
  void result(const std::string& kind, std::uint64_t of_intent, const std::string& outcome,
              encoding::Json data = encoding::Json::object(), const std::string& txn = kTxn) {
    Entry entry = of(kind, Phase::Result, std::move(data));
    entry.intent = of_intent;
    entry.outcome = outcome;
    entry.txn = txn;
    append(entry);
  }
  static encoding::Json key(const std::string& id, const std::string& label = "m#1",
                            std::uint64_t generation = 1) {
    return {{"mek_id", id}, {"mek", label}, {"label", label}, {"generation", generation}, {"encryptions", 5}};
  }
  void make(const std::string& id, const std::string& label = "m#1") {
    result("mek-generate", intent("mek-generate", key(id, label)), "ok");
  }
  [[nodiscard]] const MekHistory& mek(const std::string& id) const { return state.meks.at(from_hex(id)); }

  State state;
};

TEST_F(Replay, NumbersTimesAndTheGenesis) {
  Entry entry = of("challenge", Phase::Event, testing::challenge_data(1));
  entry.seq = 2;
  EXPECT_ERROR(Malformed, "its number is 2", state.apply(entry));
  entry.seq = 1;
  entry.time = 50;
  state.apply(entry);
  entry = of("challenge", Phase::Event, testing::challenge_data(2));
  entry.seq = 2;
  entry.time = 49;
  EXPECT_ERROR(Malformed, "lies before", state.apply(entry));
  EXPECT_ERROR(Malformed, "genesis", event("genesis", state.genesis));
  state = State();
  EXPECT_ERROR(Malformed, "genesis", event("challenge", testing::challenge_data(1)));
}

TEST_F(Replay, KindsAndPhases) {
  EXPECT_ERROR(Malformed, "'party' is not known", event("party", encoding::Json::object()));
  EXPECT_ERROR(Malformed, "'seal' is not an event", event("seal", key(kFirstOf)));
  EXPECT_ERROR(Malformed, "'challenge' has no intent", intent("challenge", testing::challenge_data(1)));
  EXPECT_ERROR(Malformed, "without its intent", result("mek-generate", 0, "ok"));
  const std::uint64_t begun = intent("mek-generate", key(kFirstOf));
  EXPECT_ERROR(Malformed, "without its intent", result("mek-rotate", begun, "ok"));
  EXPECT_ERROR(Malformed, "without its intent",
               result("mek-generate", begun, "ok", encoding::Json::object(), hex_text(16, 'b')));
  result("mek-generate", begun, "ok");
  EXPECT_ERROR(Malformed, "without its intent", result("mek-generate", begun, "ok"));
}

TEST_F(Replay, AnApprovalServesOnce) {
  make(kFirstOf);
  encoding::Json approved = key(kFirstOf);
  approved["approval"] = {{"nonce", kDigest}};
  event("mek-suspend", approved);
  EXPECT_ERROR(Malformed, "approval that was used", event("mek-resume", approved));
  EXPECT_ERROR(Malformed, "approval that was used", intent("mek-destroy", approved));
  EXPECT_ERROR(Malformed, "request that was used",
               event("rejection", {{"operation", "seal"}, {"request_sha256", kDigest}, {"nonce", kDigest}}));
  approved["approval"]["nonce"] = "short";
  EXPECT_ERROR(Malformed, "'nonce'", event("mek-resume", approved));
}

TEST_F(Replay, KeysAreMadeOnce) {
  make(kFirstOf);
  for (const char* kind : {"mek-generate", "mek-import"})
    EXPECT_ERROR(Malformed, "used before", intent(kind, key(kFirstOf))) << kind;
  for (const char* kind : {"seal", "mek-backup", "mek-destroy"})
    EXPECT_ERROR(Malformed, "unknown MEK", intent(kind, key(kSecondOf))) << kind;
  for (const char* kind : {"mek-suspend", "mek-resume"})
    EXPECT_ERROR(Malformed, "unknown MEK", event(kind, key(kSecondOf))) << kind;
  EXPECT_ERROR(Malformed, "'mek_id'", intent("mek-generate", key(kFirstOf + "00")));
}

TEST_F(Replay, AKeyIsInOneState) {
  make(kFirstOf);
  EXPECT_ERROR(Malformed, "resumption of a MEK that is 'ok'", event("mek-resume", key(kFirstOf)));
  event("mek-suspend", key(kFirstOf));
  EXPECT_EQ(mek(kFirstOf).state, "suspended");
  EXPECT_ERROR(Malformed, "suspension of a MEK that is 'suspended'", event("mek-suspend", key(kFirstOf)));
  result("mek-destroy", intent("mek-destroy", key(kFirstOf)), "failed");
  EXPECT_EQ(mek(kFirstOf).state, "suspended") << "as before";
  const std::uint64_t begun = intent("mek-destroy", key(kFirstOf));
  EXPECT_EQ(mek(kFirstOf).state, "destroying");
  EXPECT_ERROR(Malformed, "destroyed twice", intent("mek-destroy", key(kFirstOf)));
  result("mek-destroy", begun, "ok");
  EXPECT_ERROR(Malformed, "destroyed twice", intent("mek-destroy", key(kFirstOf)));
  make(kSecondOf, "n#1");
  encoding::Json again = key(kSecondOf, "n#1");
  again["found_again"] = true;
  EXPECT_ERROR(Malformed, "found again, and is 'ok'", intent("mek-destroy", again));
  again["mek_id"] = kFirstOf;
  result("mek-destroy", intent("mek-destroy", again), "failed");
  result("mek-destroy", intent("mek-destroy", again), "ok");
  EXPECT_EQ(mek(kFirstOf).state, "destroyed");
  result("mek-destroy", intent("mek-destroy", key(kSecondOf)), "unknown");
  EXPECT_EQ(mek(kSecondOf).state, "unknown");
}

TEST_F(Replay, EncryptionsAreCounted) {
  make(kFirstOf);
  intent("seal", key(kFirstOf));
  result("mek-backup", intent("mek-backup", key(kFirstOf)), "failed");
  EXPECT_EQ(mek(kFirstOf).encryptions, 10U) << "what failed half way has used some";
}

TEST_F(Replay, ARestoredKeyCountsOn) {
  make(kFirstOf);
  encoding::Json back = key(kFirstOf);
  back["origin"] = "imported";
  EXPECT_ERROR(Malformed, "origin 'imported'", intent("mek-restore", back));
  back["origin"] = "transferee";
  EXPECT_ERROR(Malformed, "in use", intent("mek-restore", back));
  intent("seal", key(kFirstOf));
  result("mek-destroy", intent("mek-destroy", key(kFirstOf)), "ok");
  back["encryptions"] = 4;
  EXPECT_ERROR(Malformed, "goes down", intent("mek-restore", back));
  back["encryptions"] = 5;
  result("mek-restore", intent("mek-restore", back), "ok");
  EXPECT_EQ(mek(kFirstOf).origin, "transferee");
  EXPECT_EQ(mek(kFirstOf).encryptions, 5U);
  // A copy that only wraps forgets nothing either.
  result("mek-destroy", intent("mek-destroy", key(kFirstOf)), "ok");
  back["origin"] = "restored";
  result("mek-restore", intent("mek-restore", back), "ok");
  result("mek-destroy", intent("mek-destroy", key(kFirstOf)), "ok");
  back["encryptions"] = 4;
  EXPECT_ERROR(Malformed, "goes down", intent("mek-restore", back));
}

TEST_F(Replay, WhatIsKnownOfAKeyStaysWhenItComesBack) {
  make(kFirstOf);
  encoding::Json back = key(kFirstOf), gone = key(kFirstOf);
  back["origin"] = "restored";
  gone["transferee_recovery_key_sha256"] = kDigest;
  event("mek-suspend", key(kFirstOf));
  result("mek-destroy", intent("mek-destroy", gone), "failed");
  EXPECT_EQ(mek(kFirstOf).transferee, "");
  result("mek-destroy", intent("mek-destroy", gone), "ok");
  result("mek-restore", intent("mek-restore", back), "failed");
  EXPECT_EQ(mek(kFirstOf).state, "failed");
  result("mek-restore", intent("mek-restore", back), "ok");
  EXPECT_EQ(mek(kFirstOf).state, "suspended");
  EXPECT_EQ(mek(kFirstOf).transferee, kDigest);
  event("mek-resume", key(kFirstOf));
  result("mek-destroy", intent("mek-destroy", key(kFirstOf)), "ok");
  result("mek-restore", intent("mek-restore", back), "ok");
  EXPECT_EQ(mek(kFirstOf).state, "ok");
  EXPECT_EQ(mek(kFirstOf).transferee, kDigest) << "an end without a transferee takes none back";
}

TEST_F(Replay, AKeyIsImportedOnce) {
  const std::string value = hex_text(32, 'c');
  encoding::Json in = key(kFirstOf);
  EXPECT_ERROR(Malformed, "'check_value'", intent("mek-import", in));
  in["check_value"] = value;
  result("mek-import", intent("mek-import", in), "failed");
  EXPECT_EQ(imported_before(state, value), nullptr);
  encoding::Json again = key(kFirstOf);
  again["found_again"] = true;
  result("mek-destroy", intent("mek-destroy", again), "ok");
  EXPECT_EQ(imported_before(state, value), nullptr) << "it never came in";
  in["mek_id"] = kSecondOf;
  in["label"] = "n#1";
  result("mek-import", intent("mek-import", in), "ok");
  EXPECT_EQ(imported_before(state, value)->label, "n#1");
  in["mek_id"] = hex_text(16, '3');
  EXPECT_ERROR(Malformed, "imported before", intent("mek-import", in));
  result("mek-destroy", intent("mek-destroy", key(kSecondOf)), "ok");
  EXPECT_ERROR(Malformed, "imported before", intent("mek-import", in));
}

TEST_F(Replay, ARecoveryKeyIsTheFileOfItsDigest) {
  const Bytes file(3, 7);
  encoding::Json made{{"file", to_base64(file)}, {"recovery_key_sha256", kDigest}};
  EXPECT_ERROR(Malformed, "another digest",
               result("recovery-key", intent("recovery-key", encoding::Json::object()), "ok", made));
  made["recovery_key_sha256"] = sha256_hex(file);
  result("recovery-key", intent("recovery-key", encoding::Json::object()), "failed");
  EXPECT_TRUE(state.recovery_keys.empty());
  result("recovery-key", intent("recovery-key", encoding::Json::object()), "ok", made);
  EXPECT_EQ(state.recovery_keys.at(sha256_hex(file)), to_base64(file));
}

TEST_F(Replay, ChallengesAreUsedOnce) {
  make(kFirstOf);
  encoding::Json challenge = testing::challenge_data(1);
  challenge["mek_id"] = kFirstOf;
  event("challenge", challenge);
  EXPECT_ERROR(Malformed, "nonce that was used", event("challenge", challenge));
  const encoding::Json wanted{{"nonce", challenge["nonce"]},
                              {"mek_id", kFirstOf},
                              {"ueid", "01"},
                              {"report_sha256", kDigest},
                              {"policy", testing::genesis_data()["policy"]}};
  const std::uint64_t first = intent("release", wanted), second = intent("release", wanted);
  const Challenge used = state.challenges.begin()->second;
  EXPECT_TRUE(used.consumed);
  EXPECT_EQ(used.intent, first);
  EXPECT_EQ(mek(kFirstOf).releases, 2U) << "they count from the intent on";
  for (const char* member : {"crls", "svn_floors"}) {
    encoding::Json odd = testing::wrapped_data();
    odd["raised"][member] = "none";
    EXPECT_ERROR(Malformed, std::string(member) + " are no list", wrapped("release", first, odd));
  }
  wrapped("release", first, testing::wrapped_data());
  result("release", first, "ok", testing::release_result(wanted));
  EXPECT_EQ(state.challenges.begin()->second.released_by, state.size - 1);
  result("release", second, "denied");
  EXPECT_EQ(mek(kFirstOf).releases, 1U) << "nothing was wrapped for the second";
  encoding::Json bad = wanted;
  bad["report_sha256"] = "none";
  EXPECT_ERROR(Malformed, "'report_sha256'", intent("release", bad));
  bad = wanted;
  bad["mek_id"] = kSecondOf;
  EXPECT_ERROR(Malformed, "release of an unknown MEK", intent("release", bad));
}

TEST_F(Replay, PinnedFilesOnlyRise) {
  const auto file = [](std::uint64_t serial, const std::string& digest) {
    return encoding::Json{{"serial", serial}, {"digest", digest}, {"crls", encoding::Json::array()}};
  };
  EXPECT_ERROR(Malformed, "policy serial", intent("policy", file(1, kDigest)));
  EXPECT_ERROR(Malformed, "'digest'", intent("policy", file(2, "d")));
  result("policy", intent("policy", file(2, kDigest)), "failed");
  EXPECT_EQ(state.policy_serial, 1U);
  result("policy", intent("policy", file(2, kDigest)), "ok");
  EXPECT_EQ(state.policy_digest, kDigest);
  EXPECT_ERROR(Malformed, "policy serial", intent("policy", file(2, kDigest)));
  EXPECT_ERROR(Malformed, "bundle serial", intent("trust", file(0, kDigest)));
  EXPECT_ERROR(Malformed, "'digest'", intent("trust", file(1, "d")));
  encoding::Json bundle = file(1, kDigest);
  bundle.erase("crls");
  EXPECT_ERROR(Malformed, "'crls'", intent("trust", bundle));
  bundle["crls"] = encoding::Json::array({{{"issuer", "30"}, {"number", "09"}}});
  result("trust", intent("trust", bundle), "ok");
  bundle["serial"] = 2;
  bundle["crls"][0]["number"] = "08";
  const std::uint64_t older = intent("trust", bundle);
  EXPECT_ERROR(Malformed, "crlNumber that does not rise", result("trust", older, "ok"));
}

TEST_F(Replay, OfficersAreThereFromTheGenesisOrNever) {
  const encoding::Json accepted{{"text_sha256", kDigest}};
  EXPECT_ERROR(Malformed, "officers for an appliance", intent("officers", {{"digest", kDigest}}));
  EXPECT_ERROR(Malformed, "accepted before", event("genesis-accepted", accepted));
  begin(hex_text(32, 'e'));
  EXPECT_ERROR(Malformed, "'text_sha256'", event("genesis-accepted", encoding::Json::object()));
  event("genesis-accepted", accepted);
  EXPECT_ERROR(Malformed, "accepted before", event("genesis-accepted", accepted));
  EXPECT_ERROR(Malformed, "'digest'", intent("officers", encoding::Json::object()));
  result("officers", intent("officers", {{"digest", kDigest}}), "ok");
  EXPECT_EQ(state.officers_digest, kDigest);
  EXPECT_ERROR(Malformed, "'officers'", begin("no digest"));
}

TEST_F(Replay, AStopAndAResumeAreOfACeremonyThatGoesOn) {
  const encoding::Json ids{{"ceremony", kFirstOf}, {"plan_sha256", kDigest}};
  encoding::Json stop = ids;
  stop.update({{"step", "s1"}, {"cause", "the lamp went out"}});
  EXPECT_ERROR(Malformed, "does not go on", event("ceremony-stop", stop));
  EXPECT_ERROR(Malformed, "does not go on", event("ceremony-resume", ids));
  const std::uint64_t begun = intent("ceremony", ids);
  for (const char* member : {"step", "cause"}) {
    encoding::Json bad = stop;
    bad.erase(member);
    EXPECT_ERROR(Malformed, member, event("ceremony-stop", bad));
  }
  event("ceremony-stop", stop);
  event("ceremony-resume", ids);
  result("ceremony", begun, "ok");
  EXPECT_ERROR(Malformed, "does not go on", event("ceremony-stop", stop));
  EXPECT_ERROR(Malformed, "does not go on", event("ceremony-resume", ids));
}

TEST_F(Replay, OneCeremonyAtATimeAndEachPlanOnce) {
  const encoding::Json first{{"ceremony", kFirstOf}, {"plan_sha256", kDigest}};
  encoding::Json step = first;
  step.update({{"step", "s1"}, {"attempt", 1}});
  EXPECT_ERROR(Malformed, "does not go on", intent("ceremony-step", step));
  const std::uint64_t begun = intent("ceremony", first);
  encoding::Json second{{"ceremony", kSecondOf}, {"plan_sha256", hex_text(32, 'c')}};
  EXPECT_ERROR(Malformed, "while another goes on", intent("ceremony", second));
  for (const char* member : {"step", "attempt"}) {
    encoding::Json bad = step;
    bad.erase(member);
    EXPECT_ERROR(Malformed, member, intent("ceremony-step", bad));
  }
  encoding::Json stranger = step;
  stranger["ceremony"] = kSecondOf;
  EXPECT_ERROR(Malformed, "does not go on", intent("ceremony-step", stranger));
  result("ceremony-step", intent("ceremony-step", step), "ok");
  result("ceremony", begun, "ok");
  EXPECT_ERROR(Malformed, "does not go on", intent("ceremony-step", step));
  EXPECT_ERROR(Malformed, "plan that was used",
               intent("ceremony", {{"ceremony", kSecondOf}, {"plan_sha256", kDigest}}));
  second["ceremony"] = "short";
  EXPECT_ERROR(Malformed, "'ceremony'", intent("ceremony", second));
  const std::string rejected = hex_text(32, 'd');
  event("rejection", {{"operation", "ceremony"}, {"request_sha256", rejected}, {"nonce", rejected}});
  EXPECT_ERROR(Malformed, "plan that was rejected",
               intent("ceremony", {{"ceremony", kSecondOf}, {"plan_sha256", rejected}}));
}

TEST_F(Replay, RejectionsAndRecoveriesSayOfWhat) {
  EXPECT_ERROR(Malformed, "'quarantine'", event("recovery", encoding::Json::object()));
  const encoding::Json good{{"operation", "seal"}, {"request_sha256", kDigest}, {"nonce", kDigest}};
  for (const auto& [member, value] : good.items()) {
    encoding::Json bad = good;
    bad.erase(member);
    EXPECT_ERROR(Malformed, member, event("rejection", bad));
  }
}

// A log that the key itself signed wrongly: found in the pass over the file as in the replay, and named.
TEST(WronglySigned, AnEntryThatDoesNotFollowIsNamed) {
  const testing::TempFolder temp;
  testing::HostLog host(temp / "log");
  {
    Log log = host.create();
    for (std::uint64_t i = 1; i < 5; ++i) log.event("challenge", testing::challenge_data(i));
  }
  const std::string text = testing::read_text(host.dir / "entries.jsonl");
  const auto refused = [&](const std::string& words, void (*change)(Entry&)) {
    std::string signed_lines;
    tlog::Tree tree;
    for (const std::string_view line : split_lines(text)) {
      Entry entry = parse_entry(line);
      if (tree.size() > 0) entry.prev = tree.leaf(tree.size() - 1);
      if (tree.size() == 3) change(entry);
      const std::string written = encode_entry(entry);
      tree.append(tlog::leaf_hash(view(written)));
      signed_lines += written + "\n";
    }
    testing::write_text(host.dir / "entries.jsonl", signed_lines);
    testing::write_text(host.dir / "checkpoint",
                        tlog::sign_checkpoint({tree.size(), tree.root()},
                                              host.signer.verifier(testing::kOrigin), host.signer));
    for (const Check check : {Check::Everything, Check::Proofs})
      EXPECT_ERROR(LogDamaged, "entry 3: " + words, read_log(host.dir, std::nullopt, check));
  };
  refused("its number is 7", [](Entry& entry) { entry.seq = 7; });
  refused("it does not follow", [](Entry& entry) { entry.prev[0] ^= 1; });
  refused("its time lies before", [](Entry& entry) { entry.time -= 1; });
}

}  // namespace
}  // namespace qpcseal::audit
