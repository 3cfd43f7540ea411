// SPDX-License-Identifier: Apache-2.0
// What the log alone says of MEKs: generations, their end, and the plan for one that is compromised.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/audit/receipt.h"
#include "appliance/mek/backup.h"
#include "appliance/mek/compromise.h"
#include "appliance/mek/generate.h"
#include "appliance/mek/lifecycle.h"
#include "appliance/mek/rotate.h"
#include "appliance/site/key_census.h"
#include "tests/base/expect_error.h"
#include "tests/site/logged_home.h"

namespace qpcseal::mek {
namespace {

using encoding::Json;
using qpcseal::testing::LoggedHome;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string hex_id(std::uint8_t number) { return to_hex(Bytes(16, number)); }

// A log with the lives of keys, as the acts write it.
class LoggedKeys : public ::testing::Test {
 protected:
  LoggedHome site{false};

  void generate(std::uint8_t id, const std::string& label, std::uint64_t generation) {
    end(site.log->intent("mek-generate",
                         {{"mek_id", hex_id(id)}, {"label", label}, {"generation", generation}}));
  }
  std::uint64_t end(const audit::Txn& txn, Json data = Json::object()) {
    return site.log->result(txn, "ok", std::move(data));
  }
  std::uint64_t destroy(std::uint8_t id) {
    return end(site.log->intent("mek-destroy", {{"mek_id", hex_id(id)}}),
               {{"mek_id", hex_id(id)}, {"encryptions", 0}});
  }
  void seal(std::uint8_t id, const std::string& label, const std::string& model, std::uint64_t version) {
    const audit::Txn txn = site.log->intent("seal", {{"mek_id", hex_id(id)},
                                                     {"mek", label},
                                                     {"model", model},
                                                     {"model_version", version},
                                                     {"encryptions", 1}});
    end(txn, {{"seal_id", sha256_hex(model)},
              {"manifest_sha256", sha256_hex(model + std::to_string(version))},
              {"partitions", Json::array()}});
  }
  // A release to a card, begun; its challenge names host and device.
  audit::Txn release(std::uint8_t id, const std::string& ueid, const std::string& host,
                     std::uint64_t device) {
    Json challenge = testing::challenge_data(site.log->state().size);
    challenge["mek_id"] = hex_id(id);
    challenge["host"] = host;
    challenge["device"] = device;
    site.log->event("challenge", challenge);
    return site.log->intent("release",
                            {{"mek_id", hex_id(id)},
                             {"ueid", ueid},
                             {"nonce", challenge["nonce"]},
                             {"report_sha256", sha256_hex(ueid)},
                             {"policy", {{"digest", site.log->state().policy_digest}, {"serial", 7}}}});
  }
  void wrap(const audit::Txn& txn, std::uint8_t id, const std::string& ueid, const std::string& session) {
    const std::string nonce = encoding::text_member(site.log->state().open.at(txn.seq).data, "nonce");
    site.log->wrapped({txn}, {testing::wrapped_data(sha256_hex(txn.id))});
    end(txn, {{"mek_id", hex_id(id)},
              {"ueid", ueid},
              {"nonce", nonce},
              {"wrapped_sha256", sha256_hex(txn.id)},
              {"session_key", {{"type", "p256"}, {"sha256", sha256_hex(session)}}},
              {"act", {{"seal_id", sha256_hex("model")}}}});
  }
  // A run of the vendor's tool that encrypts a model, for one card.
  void encrypt_by_tool(std::uint8_t id, const std::string& label, const std::string& model,
                       const std::string& ueid) {
    const std::string tool(64, 'c');
    const audit::Txn card = release(id, ueid, "h1", 3);
    const Json asked = site.log->state().open.at(card.seq).data;
    const audit::Txn run = site.log->intent("mek-expose", {{"mek_id", hex_id(id)},
                                                           {"mek", label},
                                                           {"act", "encrypt-model"},
                                                           {"model", "programqpc"},
                                                           {"model_sha256", sha256_hex(model)},
                                                           {"tool_sha256", tool},
                                                           {"program_sha256", tool},
                                                           {"reports", Json::array({asked["report_sha256"]})},
                                                           {"policy", asked["policy"]}});
    const Json exposed{{"tool_sha256", tool}};
    Json wrapped = testing::wrapped_data();
    wrapped.erase("wrapped_sha256");
    wrapped.erase("pub_sha256");
    wrapped["exposed"] = exposed;
    site.log->wrapped({run, card}, {{{"exposed", exposed}}, wrapped});
    end(card, {{"mek_id", hex_id(id)},
               {"ueid", ueid},
               {"nonce", asked["nonce"]},
               {"exposed", exposed},
               {"session_key", {{"type", "p256"}, {"sha256", sha256_hex("session")}}},
               {"act", {{"tool", "encrypt-model"}}}});
    end(run, {{"outputs", Json::array({{{"name", "a"}, {"size", 1}, {"sha256", sha256_hex("made")}}})}});
  }
  std::string receipt_of(std::uint64_t seq) {
    testing::write_text(site.folder / "receipt", audit::make_receipt(site.copy(), seq));
    return site.folder / "receipt";
  }
  [[nodiscard]] CompromisePlan plan(const std::string& reference) const {
    return plan_compromise(site.copy(), reference);
  }
  static std::vector<std::string> commands(const CompromisePlan& plan) {
    std::vector<std::string> out;
    for (const Step& step : plan.steps) out.insert(out.end(), step.commands.begin(), step.commands.end());
    return out;
  }
};

TEST_F(LoggedKeys, AreListedWithoutAToken) {
  generate(1, "b#1", 1);
  generate(2, "a#1", 1);
  generate(3, "a#2", 2);
  destroy(2);
  const auto views = list_logged(site.home);
  ASSERT_EQ(views.size(), 2U);
  EXPECT_EQ(views[0].mek.label, "a#2");
  EXPECT_EQ(views[1].mek.label, "b#1");
  EXPECT_EQ(views[0].history->state, "ok");
  EXPECT_FALSE(views[0].missing) << "nobody looked into the token";
}

TEST_F(LoggedKeys, EndWithAReceiptOfTheirOwn) {
  generate(1, "a#1", 1);
  generate(2, "b#1", 1);
  const std::uint64_t seq = destroy(1);
  const std::string vkey = site.host.signer.verifier(testing::kOrigin).text();
  EXPECT_EQ(verify_destruction_receipt(receipt_of(seq), vkey, Bytes(16, 1)).seq, seq);
  EXPECT_ERROR(Denied, "is not the receipt of this key's end at its source",
               verify_destruction_receipt(receipt_of(seq), vkey, Bytes(16, 2)));
  EXPECT_ERROR(Denied, "is not the receipt of this key's end",
               verify_destruction_receipt(receipt_of(seq - 1), vkey, Bytes(16, 1)));
  const testing::HostSigner other(tlog::KeyType::Ed25519);
  EXPECT_ERROR(
      LogDamaged, "sign",
      verify_destruction_receipt(receipt_of(seq), other.verifier(testing::kOrigin).text(), Bytes(16, 1)));
}

TEST_F(LoggedKeys, AreNamedInFullWhereTheyHaveGenerations) {
  generate(1, "a#1", 1);
  EXPECT_EQ(plan("a").mek.label, "a#1");
  generate(2, "a#2", 2);
  EXPECT_ERROR(Usage, "'a' has several generations: a#1, a#2", plan("a"));
  EXPECT_EQ(plan("a#1").mek.label, "a#1");
  EXPECT_EQ(plan("a#1").successor, "a#2");
  EXPECT_EQ(plan("a#2").successor, "");
  EXPECT_ERROR(Usage, "the log knows no MEK 'b'", plan("b"));
}

TEST_F(LoggedKeys, ThatNothingUsedAreReplacedAndDestroyed) {
  generate(1, "a#1", 1);
  EXPECT_THAT(commands(plan("a")),
              ElementsAre("qpcseal mek suspend a#1", "qpcseal mek rotate a", "qpcseal mek destroy a#1"));
  destroy(1);
  EXPECT_THAT(commands(plan("a#1")), ElementsAre("qpcseal mek rotate a"));
}

TEST_F(LoggedKeys, HaveTheirContainersSealedAnewWithAHigherVersion) {
  generate(1, "a#1", 1);
  seal(1, "a#1", "model", 4);
  seal(1, "a#1", "model", 3);
  seal(1, "a#1", "other", 1);
  const CompromisePlan before = plan("a");
  ASSERT_EQ(before.containers.size(), 3U);
  EXPECT_EQ(before.containers[0].model, "model");
  EXPECT_EQ(before.containers[0].version, 4U);
  EXPECT_EQ(before.containers[0].again, "");
  EXPECT_THAT(commands(before), Contains(HasSubstr("--mek a --name model --model-version 5 ")));
  EXPECT_THAT(commands(before), Contains(HasSubstr("--name other --model-version 2 ")));
  generate(2, "a#2", 2);
  seal(2, "a#2", "model", 5);
  const CompromisePlan after = plan("a#1");
  EXPECT_EQ(after.containers.size(), 3U) << "those of the next key are good";
  EXPECT_EQ(after.containers[0].again, "a#2");
  EXPECT_THAT(commands(after), Not(Contains(HasSubstr("--name model"))));
  EXPECT_THAT(commands(after), Contains(HasSubstr("--mek 'a#2' --name other")));
}

TEST_F(LoggedKeys, HaveTheirCardsResetAndAttested) {
  generate(1, "a#1", 1);
  wrap(release(1, "aa", "h1", 3), 1, "aa", "session aa");
  wrap(release(1, "bb", "h1", 4), 1, "bb", "session bb");
  const CompromisePlan found = plan("a");
  ASSERT_EQ(found.cards.size(), 2U);
  EXPECT_EQ(found.cards[0].ueid, "aa");
  EXPECT_EQ(found.cards[0].host, "h1");
  EXPECT_EQ(found.cards[0].device, 3U);
  EXPECT_EQ(found.cards[0].releases, 1U);
  EXPECT_THAT(found.cards[0].containers, ElementsAre(sha256_hex("model")));
  EXPECT_FALSE(found.cards[0].unsettled);
  EXPECT_THAT(commands(found), Contains(HasSubstr("on h1, cards 3-4: ")));
  EXPECT_THAT(commands(found), Contains(HasSubstr("--host h1 --device 3-4 -o trip-h1/")));
}

TEST_F(LoggedKeys, ThatTheVendorsToolHadAreReplacedByItsCommands) {
  generate(1, "a#1", 1);
  encrypt_by_tool(1, "a#1", "model", "aa");
  const CompromisePlan before = plan("a");
  ASSERT_EQ(before.tool_models.size(), 1U);
  EXPECT_EQ(before.tool_models[0].model_sha256, sha256_hex("model"));
  EXPECT_TRUE(before.cards.at(0).by_tool);
  EXPECT_THAT(commands(before), Contains(HasSubstr("model programqpc, SHA-256 " + sha256_hex("model") +
                                                   ": qpcseal encrypt-model --format vendor ")));
  EXPECT_THAT(commands(before), Contains(HasSubstr("attest request --raw --mek a --ueid aa -o aa.request")));
  EXPECT_THAT(commands(before), Contains(HasSubstr("QAicRemoteAttestationClient.py ")));
  EXPECT_THAT(commands(before), Contains(HasSubstr("encrypt-with-session-keys --format vendor ")));
  EXPECT_THAT(commands(before), Not(Contains(HasSubstr("qpcseal-attest"))));
  generate(2, "a#2", 2);
  encrypt_by_tool(2, "a#2", "model", "aa");
  const CompromisePlan after = plan("a#1");
  EXPECT_EQ(after.tool_models.at(0).again, "a#2");
  EXPECT_THAT(commands(after), Not(Contains(HasSubstr("--format vendor"))));
}

TEST_F(LoggedKeys, MayBeInACardWhoseReleaseHasNoResult) {
  generate(1, "a#1", 1);
  const audit::Txn open = release(1, "aa", "h1", 3), denied = release(1, "bb", "h1", 4);
  site.log->result(denied, "failed", Json::object());
  const CompromisePlan found = plan("a");
  ASSERT_EQ(found.cards.size(), 1U) << "a release that failed wrapped nothing";
  EXPECT_EQ(found.cards[0].ueid, "aa");
  EXPECT_TRUE(found.cards[0].unsettled);
  EXPECT_EQ(found.cards[0].releases, 0U);
  EXPECT_EQ(found.cards[0].entry, open.seq);
}

TEST_F(LoggedKeys, AreOutOfACardThatBootedAnew) {
  generate(1, "a#1", 1);
  generate(2, "b#1", 1);
  wrap(release(1, "aa", "h1", 3), 1, "aa", "first boot");
  wrap(release(2, "aa", "h1", 3), 2, "aa", "first boot");
  EXPECT_FALSE(plan("a").cards.at(0).reset) << "the session key of the same boot";
  wrap(release(2, "aa", "h1", 3), 2, "aa", "second boot");
  EXPECT_TRUE(plan("a").cards.at(0).reset);
  EXPECT_THAT(commands(plan("a")), Not(Contains(HasSubstr("soc_reset"))));
}

}  // namespace
}  // namespace qpcseal::mek
