// SPDX-License-Identifier: Apache-2.0
// Which record of a rehearsal a ceremony begins with, and goes on with.
#include "appliance/ceremony/rehearsal.h"

#include <gtest/gtest.h>

#include <functional>

#include "appliance/ceremony/record.h"
#include "appliance/site/archive.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::ceremony {
namespace {

using encoding::Json;

class RehearsalRecord : public ::testing::Test {
 protected:
  testing::TempFolder folder;
  site::Home home{folder.path() / "home"};
  Json record = {{"format", kRecordFormat},
                 {"plan", {{"sha256", sha256_hex("plan")}}},
                 {"stand_ins", Json::array()},
                 {"environment",
                  {{"image", nullptr},
                   {"os", "O"},
                   {"software", "s"},
                   {"binary_sha256", "1"},
                   {"module_sha256", "2"},
                   {"signing", "ed25519"},
                   {"suites", {2}},
                   {"lacking", {"local"}},
                   {"anchor", true},
                   {"token", {{"manufacturer", "M"}, {"model", "T"}, {"firmware", "2.6"}}}}},
                 {"steps",
                  {{{"id", "make"},
                    {"act", "mek-generate"},
                    {"done", true},
                    {"unconfirmed", nullptr},
                    {"attempts",
                     {{{"outcome", "failed"}, {"acts", Json::array()}},
                      {{"outcome", "ok"}, {"acts", Json::array()}}}}}}}};
  CeremonyInputs inputs;

  RehearsalRecord() {
    std::filesystem::create_directories(home.approvals());
    inputs.plan.sha256 = sha256_hex("plan");
    Step step;
    step.id = "make";
    step.act = "mek-generate";
    inputs.plan.steps.push_back(step);
    give(encoding::canonical(record));
  }
  void give(const std::string& text) {
    inputs.rehearsal = folder / "record.json";
    testing::write_text(*inputs.rehearsal, text);
  }
  // Of a record that is changed.
  void expect_refused(ErrorKind kind, const std::string& why, const std::function<void(Json&)>& change) {
    Json other = record;
    change(other);
    give(encoding::canonical(other));
    const std::string text = (folder / "record.json").string() + ": " + why;
    EXPECT_TRUE(testing::throws_error(kind, text, [&] { given_rehearsal(inputs); })) << other;
  }
  [[nodiscard]] std::optional<Rehearsal> begun(const Json& digest) const {
    return begun_with(home, inputs, {{"rehearsal_sha256", digest}});
  }
};

constexpr const char* kNoRecord = "it is not a record as 'qpcseal ceremony rehearse' writes it";

TEST_F(RehearsalRecord, IsTakenAsItIs) {
  const auto found = given_rehearsal(inputs);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->record, record);
  EXPECT_EQ(found->text, encoding::canonical(record));
  EXPECT_EQ(found->sha256, sha256_hex(encoding::canonical(record)));
}

TEST_F(RehearsalRecord, IsDemandedByThePlan) {
  inputs.rehearsal.reset();
  EXPECT_ERROR(Denied, "the plan requires a rehearsal first", given_rehearsal(inputs));
  EXPECT_ERROR(Denied, "the plan requires a rehearsal first",
               expect_rehearsal(inputs, record.at("environment")));
  inputs.plan.rehearsed = false;
  EXPECT_FALSE(given_rehearsal(inputs));
  EXPECT_FALSE(expect_rehearsal(inputs, record.at("environment")));
  give("nonsense");
  EXPECT_ERROR(Malformed, "record.json: ", given_rehearsal(inputs)) << "what is given is read all the same";
}

TEST_F(RehearsalRecord, IsWholeBeforeAnythingIsDone) {
  const auto refused = [&](const std::function<void(Json&)>& change) {
    expect_refused(ErrorKind::Malformed, kNoRecord, change);
  };
  for (const char* member : {"format", "plan", "stand_ins"}) refused([&](Json& it) { it.erase(member); });
  refused([](Json& it) { it["format"] = "qpcseal/ceremony-record/2"; });
  refused([](Json& it) { it["stand_ins"] = "none"; });
  refused([](Json& it) { it["steps"].push_back(it["steps"][0]); });
  refused([](Json& it) { it["steps"] = Json::array(); });
  refused([](Json& it) { it["steps"][0]["id"] = "other"; });
  refused([](Json& it) { it["steps"][0]["act"] = "mek-destroy"; });
  refused([](Json& it) { it["steps"][0]["attempts"].back().erase("outcome"); });
}

// By the comparison that is made with it at the end.
TEST_F(RehearsalRecord, HasAllThatIsCompared) {
  const auto refused = [&](const std::function<void(Json&)>& change) {
    expect_refused(ErrorKind::Malformed, "the rehearsal's record is not one of this program's", change);
  };
  for (const char* member : {"environment", "steps"}) refused([&](Json& it) { it.erase(member); });
  for (const char* member : {"id", "act", "done", "attempts"})
    refused([&](Json& it) { it["steps"][0].erase(member); });
  refused([](Json& it) { it["steps"][0]["attempts"] = 1; });
  refused([](Json& it) { it["environment"].erase("suites"); });
  refused([](Json& it) { it["environment"]["token"].erase("firmware"); });
}

TEST_F(RehearsalRecord, IsOfThisPlan) {
  expect_refused(ErrorKind::Denied, "it is not the record of a rehearsal of this plan",
                 [](Json& it) { it["plan"]["sha256"] = sha256_hex("another plan"); });
}

TEST_F(RehearsalRecord, IsOfARehearsalThatWasCompleted) {
  const auto refused = [&](const std::function<void(Json&)>& change) {
    expect_refused(ErrorKind::Denied, "the rehearsal was not completed", change);
  };
  refused([](Json& it) { it["steps"][0]["done"] = false; });
  refused([](Json& it) { it["steps"][0]["attempts"] = Json::array(); });
  refused([](Json& it) { it["steps"][0]["attempts"].back()["outcome"] = "failed"; });
}

TEST_F(RehearsalRecord, IsReadUpToItsLimit) {
  std::filesystem::resize_file(*inputs.rehearsal, kMaxRecord + 1);
  EXPECT_ERROR(Malformed, "record.json", given_rehearsal(inputs));
  inputs.rehearsal = folder / "none";
  EXPECT_ERROR(Io, "none: No such file or directory", given_rehearsal(inputs));
}

TEST_F(RehearsalRecord, IsOfATokenOfTheSameKind) {
  const Json same = record.at("environment");
  EXPECT_TRUE(expect_rehearsal(inputs, same));
  const std::string start = "the token is not like the one of the rehearsal; ";
  const auto refused = [&](const std::string& why, const std::function<void(Json&)>& change) {
    Json other = same;
    change(other);
    EXPECT_ERROR(Denied, start + why, expect_rehearsal(inputs, other));
  };
  refused("manufacturer was \"M\"", [](Json& it) { it["token"]["manufacturer"] = "N"; });
  refused("model was \"T\"", [](Json& it) { it["token"]["model"] = "U"; });
  refused("signing was \"ed25519\"", [](Json& it) { it["signing"] = "ecdsa-p256"; });
  refused("suites was [2]", [](Json& it) { it["suites"] = {1, 2}; });
  refused("lacking was [\"local\"]", [](Json& it) { it["lacking"] = Json::array(); });
  refused("model was \"T\"; signing was \"ed25519\"", [](Json& it) {
    it["token"]["model"] = "U";
    it["signing"] = "ecdsa-p256";
  });
  Json later = same;
  later["token"]["firmware"] = "2.7";
  later["os"] = "P";
  EXPECT_TRUE(expect_rehearsal(inputs, later)) << "the record names these as differences";
}

TEST_F(RehearsalRecord, IsTheOneThatTheCeremonyBeganWith) {
  const std::string digest = sha256_hex(encoding::canonical(record));
  EXPECT_EQ(begun(digest)->sha256, digest);
  EXPECT_ERROR(Denied, "the ceremony was begun with another rehearsal, or none: \"" + sha256_hex("x") + "\"",
               begun(sha256_hex("x")));
  EXPECT_ERROR(Denied, "the ceremony was begun with another rehearsal, or none: null", begun(nullptr));
}

TEST_F(RehearsalRecord, NeedNotBeGivenAgain) {
  const std::string text = encoding::canonical(record), digest = sha256_hex(text);
  inputs.rehearsal.reset();
  EXPECT_FALSE(begun(nullptr)) << "it began without";
  EXPECT_FALSE(begun(digest)) << "it was not kept";
  site::archive_put(home, text, kRehearsalExtension);
  ASSERT_TRUE(begun(digest));
  EXPECT_EQ(begun(digest)->text, text);
  const auto kept = home.approvals() / (digest + kRehearsalExtension);
  Json other = record;
  other["environment"]["os"] = "P";
  for (const std::string& damaged : {std::string("nonsense"), encoding::canonical(other)}) {
    testing::write_text(kept, damaged);
    EXPECT_FALSE(begun(digest)) << "the copy is no longer what was kept";
  }
}

TEST_F(RehearsalRecord, IsNamedInTheEntryThatBegan) {
  inputs.rehearsal.reset();
  EXPECT_ERROR(Malformed, "rehearsal_sha256", begun_with(home, inputs, Json::object()));
}

}  // namespace
}  // namespace qpcseal::ceremony
