// SPDX-License-Identifier: Apache-2.0
// A request names exactly the parameters of its act: officers would sign another one in vain.
#include "appliance/cli/commands/request_parameters.h"

#include <gtest/gtest.h>

#include "appliance/mek/backup.h"
#include "appliance/mek/lifecycle.h"
#include "appliance/release/exposure.h"
#include "appliance/site/repair.h"
#include "policy/policy.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"

namespace qpcseal::cli {
namespace {

using encoding::Json;

const std::string kDigestText(64, 'a');
const std::string kIdText(32, 'b');

Json drill() {
  return {{"mek", "net#1"},
          {"mek_id", kIdText},
          {"backup_sha256", kDigestText},
          {"source_appliance", "plant-1"},
          {"source_serial", "0123"},
          {"source_seal_key_sha256", kDigestText},
          {"days", "30"}};
}

Json with(Json parameters, const std::string& name, const Json& value) {
  parameters[name] = value;
  return parameters;
}

Json checked(const std::string& operation, Json parameters) {
  check_parameters(operation, parameters);
  return parameters;
}

TEST(RequestParameters, AreAllThatTheActHas) {
  EXPECT_EQ(checked("mek-drill", drill()), with(drill(), "days", 30));
  const Json all = drill();
  for (const auto& [name, value] : all.items()) {
    Json less = all;
    less.erase(name);
    EXPECT_ERROR(Usage, "parameter '" + name + "' is missing", checked("mek-drill", less));
  }
}

TEST(RequestParameters, AreNoOthers) {
  EXPECT_ERROR(Usage, "'mek-drill' has no parameter 'model'",
               checked("mek-drill", with(drill(), "model", "x")));
  EXPECT_ERROR(Usage, "'recovery-key' has no parameter 'name'", checked("recovery-key", {{"name", "a"}}));
  EXPECT_EQ(checked("recovery-key", Json::object()), Json::object());
}

TEST(RequestParameters, MayLackWhatIsOptional) {
  const Json suspended{{"mek", "net#1"}, {"mek_id", kIdText}};
  EXPECT_EQ(checked("mek-destroy", suspended), suspended);
  const Json handed_over = with(suspended, "transferee_recovery_key_sha256", kDigestText);
  EXPECT_EQ(checked("mek-destroy", handed_over), handed_over);
  EXPECT_EQ(checked("site-change", Json::object()), Json::object());
}

TEST(RequestParameters, SayWhatTheActTakes) {
  const auto hint_of = [](const std::string& operation) {
    try {
      checked(operation, {{"wrong", "a"}});
    } catch (const Error& error) {
      return error.hint();
    }
    return std::string();
  };
  EXPECT_EQ(hint_of("mek-destroy"),
            "'mek-destroy' takes mek, mek_id, transferee_recovery_key_sha256 (optional)");
  EXPECT_EQ(hint_of("recovery-key"), "'recovery-key' takes no parameters");
}

TEST(RequestParameters, InHexHaveTheirSize) {
  for (const std::string& bad : {std::string(31, 'b'), std::string(33, 'b'), std::string(32, 'B'),
                                 std::string(32, 'g'), std::string()})
    EXPECT_ERROR(Usage, "parameter 'mek_id' is 16 bytes in hex",
                 checked("mek-drill", with(drill(), "mek_id", bad)));
  EXPECT_ERROR(Usage, "parameter 'backup_sha256' is 32 bytes in hex",
               checked("mek-drill", with(drill(), "backup_sha256", kIdText)));
}

TEST(RequestParameters, GivenAsTextBecomeNumbersOfOneForm) {
  EXPECT_EQ(checked("mek-drill", with(drill(), "days", "1")).at("days"), 1);
  EXPECT_EQ(checked("mek-drill", with(drill(), "days", "999999999")).at("days"), 999999999);
  EXPECT_EQ(checked("mek-drill", with(drill(), "days", 30)).at("days"), 30) << "and stay ones";
  for (const char* bad : {"", "0", "030", "-1", "+1", " 1", "1 ", "1.5", "0x1", "1000000000", "30 days"})
    EXPECT_ERROR(Usage, "parameter 'days' is a number", checked("mek-drill", with(drill(), "days", bad)));
}

TEST(RequestParameters, OfReportsAreAList) {
  Json exposure{{"mek", "net#1"},
                {"mek_id", kIdText},
                {"act", "wrap-mek"},
                {"tool_sha256", kDigestText},
                {"program_sha256", kDigestText},
                {"reports", kDigestText}};
  EXPECT_ERROR(Usage, "parameter 'reports' is a list, of the files that --report names",
               checked("mek-expose", exposure));
  exposure["reports"] = Json::array({kDigestText});
  EXPECT_EQ(checked("mek-expose", exposure), exposure);
}

TEST(RequestParameters, AreNotOfWhatOfficersSignItself) {
  for (const char* operation : {"policy-change", "trust-import"})
    EXPECT_ERROR(Usage, "'" + std::string(operation) + "' has no request: officers sign the file itself",
                 checked(operation, Json::object()));
}

TEST(RequestParameters, OfAnUnknownOperationAreLeftToThePolicy) {
  const Json any{{"a", "b"}};
  EXPECT_EQ(checked("mek-frobnicate", any), any);
}

// A release has a form of its own, and the two are signed themselves.
TEST(RequestParameters, AreKnownOfEachOperationOfThePolicy) {
  for (const std::string_view operation : policy::operations()) {
    if (operation == "release") continue;
    EXPECT_ERROR(Usage, "has no", checked(std::string(operation), {{"no such parameter", "a"}})) << operation;
  }
}

// What an act asks officers for is what `request new` takes for it.
TEST(RequestParameters, OfActsAreTaken) {
  const auto taken = [](const std::string& operation, const Json& parameters) {
    EXPECT_FALSE(parameters.empty()) << operation;
    EXPECT_EQ(checked(operation, parameters), parameters) << operation;
  };
  keys::Mek mek;
  mek.label = "net#1";
  mek.id = Bytes(keys::kMekIdSize, 1);
  for (const char* operation : {"mek-suspend", "mek-resume", "mek-rotate", "mek-destroy"})
    taken(operation, mek::request_parameters(mek));
  keys::BackupHeader header;
  header.mek_id = mek.id;
  header.name = "net";
  taken("mek-restore", with(mek::request_parameters(header, kDigestText), "origin", "restored"));
  taken("mek-drill", with(mek::request_parameters(header, kDigestText), "days", 30));
  taken("mek-expose", release::expose_parameters("net#1", mek.id, {"qaic-encrypt", {"/t", kDigestText}, {}},
                                                 {"encrypt-model", {Sha256Digest{}}, kDigestText}));
  audit::SiteFacts before = testing::site_facts(), now = before;
  now.module_sha256 = kDigestText;
  now.module_arguments += "more";
  now.accept = {"local"};
  now.anchor = !before.anchor;
  now.clock_days = before.clock_days + 1;
  now.programs = {{"qaic-encrypt", {"/t", kDigestText}, {}}};
  now.swap = !before.swap;
  now.image = kDigestText;
  const Json changes = site::request_parameters(before, now);
  EXPECT_EQ(changes.size(), 8U) << "all of them";
  taken("site-change", changes);
}

}  // namespace
}  // namespace qpcseal::cli
