// SPDX-License-Identifier: Apache-2.0
// Programs that the site's facts pin: read strictly, and in one order alone.
#include <gtest/gtest.h>

#include "appliance/audit/site_facts.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"

namespace qpcseal::audit {
namespace {

const std::string kProgramDigest(64, 'd');

SiteFacts facts() {
  SiteFacts out = testing::site_facts();
  out.programs = {
      {"qaic-encrypt", {"/opt/a", kProgramDigest}, {{"/opt/b", kProgramDigest}, {"/opt/c", kProgramDigest}}},
      {"sdk", {"/opt/v", kProgramDigest}, {}}};
  out.swap = true;
  return out;
}

template <typename Edit>
encoding::Json edited(Edit&& edit) {
  encoding::Json json = as_json(facts());
  edit(json);
  return json;
}

TEST(PinnedPrograms, AreReadAsTheyAreWritten) {
  EXPECT_EQ(parse_site_facts(as_json(facts())), facts());
  EXPECT_FALSE(as_json(testing::site_facts()).contains("programs"));
  EXPECT_FALSE(as_json(testing::site_facts()).contains("swap"));
  EXPECT_EQ(find_program(facts(), "sdk")->program.path, "/opt/v");
  EXPECT_EQ(find_program(facts(), "other"), nullptr);
}

TEST(PinnedPrograms, AreReadInNoOtherForm) {
  const auto refuse = [](const char* part, auto&& edit) {
    EXPECT_ERROR(Malformed, part, parse_site_facts(edited(edit)));
  };
  refuse("no short list", [](encoding::Json& j) { j["programs"] = encoding::Json::array(); });
  refuse("no short list", [](encoding::Json& j) { j["programs"] = "x"; });
  refuse("no short list", [](encoding::Json& j) {
    for (int i = 0; i < 7; ++i) j["programs"].push_back(j["programs"][0]);
  });
  refuse("order of their names", [](encoding::Json& j) { std::swap(j["programs"][0], j["programs"][1]); });
  refuse("order of their names", [](encoding::Json& j) { j["programs"][1]["name"] = "qaic-encrypt"; });
  refuse("no name", [](encoding::Json& j) { j["programs"][1]["name"] = "s dk"; });
  refuse("a program", [](encoding::Json& j) { j["programs"][0]["more"] = 1; });
  refuse("a program's file", [](encoding::Json& j) { j["programs"][0]["program"]["more"] = 1; });
  refuse("sha256", [](encoding::Json& j) { j["programs"][0]["program"]["sha256"] = "dd"; });
  refuse("order of their paths",
         [](encoding::Json& j) { std::swap(j["programs"][0]["files"][0], j["programs"][0]["files"][1]); });
  refuse("one of its own", [](encoding::Json& j) { j["programs"][0]["files"][0]["path"] = "/opt/a"; });
  refuse("no short list", [](encoding::Json& j) {
    for (int i = 0; i < 12; ++i)
      j["programs"][0]["files"].push_back(
          {{"path", "/x" + std::to_string(100 + i)}, {"sha256", kProgramDigest}});
  });
  refuse("only as true", [](encoding::Json& j) { j["swap"] = false; });
}

TEST(PinnedPrograms, LieAtPlainPathsOutsideOfTheSandboxsOwn) {
  EXPECT_TRUE(is_program_path("/opt/qti-aic/tools/qaic-encrypt"));
  for (const char* path :
       {"", "/", "opt/a", "/opt/", "/opt//a", "/opt/../a", "/opt/./a", "/opt/a/..", "/opt/a b", "/opt/a,b",
        "/opt/a\n", "/proc/a", "/sys/a", "/dev/a", "/qpcseal/key/MEK.dat"})
    EXPECT_FALSE(is_program_path(path)) << path;
  EXPECT_FALSE(is_program_path("/" + std::string(255, 'a')));
}

}  // namespace
}  // namespace qpcseal::audit
