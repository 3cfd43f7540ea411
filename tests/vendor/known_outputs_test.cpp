// SPDX-License-Identifier: Apache-2.0
// What the log says that the vendor's tool made here, and of which cards and key it is.
#include "appliance/vendor/known_outputs.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::vendor {
namespace {

using encoding::Json;

const std::string kKey(32, '1'), kOtherKey(32, '2'), kCard = "0102030405", kOtherCard = "0102030406";

class Known : public ::testing::Test {
 protected:
  void SetUp() override {
    audit::Log log = host_.create();
    for (const std::string& id : {kKey, kOtherKey})
      log.result(log.intent("mek-generate",
                            {{"mek_id", id}, {"label", id == kKey ? "m#1" : "n#1"}, {"generation", 1}}),
                 "ok", Json::object());
  }

  // A run for one card, or for none, that made files of these texts.
  std::uint64_t run(const std::string& act, const std::string& card, const std::vector<std::string>& texts,
                    const std::string& key = kKey, const std::string& outcome = "ok") {
    audit::Log log = host_.open();
    Json reports = Json::array(), outputs = Json::array();
    if (!card.empty()) {
      const std::string report = sha256_hex(std::to_string(++challenges_));
      Json challenge = testing::challenge_data(challenges_);
      challenge["mek_id"] = key;
      log.event("challenge", challenge);
      log.result(log.intent("release", {{"nonce", challenge["nonce"]},
                                        {"mek_id", key},
                                        {"mek", "m"},
                                        {"report_sha256", report},
                                        {"ueid", card},
                                        {"policy", testing::genesis_data()["policy"]}}),
                 "denied", Json::object());
      reports.push_back(report);
    }
    const Json tool{{"tool_sha256", std::string(64, 'c')}};
    const audit::Txn txn = log.intent("mek-expose", {{"mek_id", key},
                                                     {"mek", "m"},
                                                     {"act", act},
                                                     {"tool_sha256", std::string(64, 'c')},
                                                     {"program_sha256", std::string(64, 'c')},
                                                     {"reports", reports},
                                                     {"policy", testing::genesis_data()["policy"]}});
    log.wrapped({txn}, {{{"exposed", tool}}});
    for (const std::string& text : texts)
      outputs.push_back({{"name", "a"}, {"size", text.size()}, {"sha256", sha256_hex(text)}});
    log.result(txn, outcome, outcome == "ok" ? Json{{"outputs", outputs}} : Json::object());
    return log.state().size - 1;
  }

  std::filesystem::path folder(const std::vector<std::string>& texts) {
    const auto out = temp_ / std::to_string(++folders_);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto file = out / std::to_string(i) / "file";
      std::filesystem::create_directories(file.parent_path());
      write_file(file, view(texts[i]), Existing::Refuse);
    }
    return out;
  }
  [[nodiscard]] KnownOutputs known() const { return KnownOutputs(audit::read_log(host_.dir, std::nullopt)); }

  qpcseal::testing::TempFolder temp_;
  testing::HostLog host_{temp_ / "log"};
  std::uint64_t challenges_ = 0, folders_ = 0;
};

TEST_F(Known, AreTheFilesOfARunThatIsDone) {
  const std::uint64_t entry = run("encrypt-model", kCard, {"model", "key"});
  const auto runs = known().runs_of(folder({"model", "key"}));
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs.front().entry, entry);
  EXPECT_EQ(runs.front().mek_id, kKey);
  EXPECT_EQ(runs.front().ueids, std::set<std::string>{kCard});
  EXPECT_NO_THROW(known().require_known(folder({"key"}))) << "some of them are known, too";
  EXPECT_EQ(known().runs_of(folder({"model"}) / "0" / "file").size(), 1U) << "or one file";
}

TEST_F(Known, AreNoOthers) {
  run("encrypt-model", "", {"model"});
  run("encrypt-model", "", {"half"}, kKey, "unknown");
  for (const char* text : {"mode", "half", ""}) {
    EXPECT_ERROR(Denied, "no run of the vendor's tool", known().require_known(folder({text}))) << text;
    EXPECT_ERROR(Denied, "no run of the vendor's tool", known().runs_of(folder({"model", text}))) << text;
  }
}

TEST_F(Known, AreOfOneRun) {
  run("wrap-mek", kCard, {"one"});
  run("wrap-mek", kOtherCard, {"two"});
  EXPECT_NO_THROW(known().require_known(folder({"one", "two"})));
  EXPECT_ERROR(Denied, "no one run", known().runs_of(folder({"one", "two"})));
}

TEST_F(Known, AreOfEachKeyThatMayHaveMadeThem) {
  run("wrap-mek", kCard, {"same"});
  run("wrap-mek", kCard, {"same"}, kOtherKey);
  EXPECT_EQ(known().runs_of(folder({"same"})).size(), 2U);
}

TEST_F(Known, HaveTheCardsOfTheRunsBefore) {
  run("encrypt-model", kCard, {"model", "key"});
  run("encrypt-with-session-keys", kOtherCard, {"model", "key", "second key"});
  const auto runs = known().runs_of(folder({"model", "key", "second key"}));
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs.front().ueids, (std::set<std::string>{kCard, kOtherCard}));
}

TEST_F(Known, AreNoLinksAndNoEmptyFolder) {
  run("encrypt-model", "", {"model"});
  const auto dir = folder({"model"});
  std::filesystem::create_symlink("file", dir / "0" / "link");
  EXPECT_ERROR(Io, "is no file of a folder that the vendor's tool made", known().require_known(dir));
  const auto empty = temp_ / "empty";
  std::filesystem::create_directory(empty);
  EXPECT_ERROR(Io, "holds no files", known().require_known(empty));
  const auto deep = temp_ / "deep";
  std::filesystem::create_directories(deep / "1" / "2" / "3" / "4");
  EXPECT_ERROR(Io, "is no file of a folder that the vendor's tool made", known().require_known(deep));
}

}  // namespace
}  // namespace qpcseal::vendor
