// SPDX-License-Identifier: Apache-2.0
// Where the home is, and what site.toml says of the machine.
#include "appliance/site/home.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::site {
namespace {

namespace fs = std::filesystem;
using qpcseal::testing::HostLog;
using qpcseal::testing::TempFolder;
using qpcseal::testing::write_text;

// The variables that name a home, unset; as they were afterwards.
class HomeVariables : public ::testing::Test {
 protected:
  HomeVariables() {
    for (const char* name : {"QPCSEAL_HOME", "XDG_DATA_HOME", "HOME"}) {
      if (const char* value = std::getenv(name)) before_[name] = value;
      unsetenv(name);
    }
  }
  ~HomeVariables() override {
    for (const char* name : {"QPCSEAL_HOME", "XDG_DATA_HOME", "HOME"}) unsetenv(name);
    for (const auto& [name, value] : before_) setenv(name.c_str(), value.c_str(), 1);
  }
  static void set(const char* name, const std::string& value) { setenv(name, value.c_str(), 1); }
  // The home of that user does not depend on variables.
  static bool is_service_user() {
    const passwd* user = getpwuid(geteuid());
    return user != nullptr && std::string(user->pw_name) == "qpcseal";
  }

 private:
  std::map<std::string, std::string> before_;
};

TEST_F(HomeVariables, QpcsealHomeGoesBeforeAllOthers) {
  set("QPCSEAL_HOME", "/srv/seal");
  set("XDG_DATA_HOME", "/srv/data");
  set("HOME", "/srv/user");
  EXPECT_EQ(locate_home().root, "/srv/seal");
}

TEST_F(HomeVariables, DataHomeGoesBeforeTheUsersFolder) {
  if (is_service_user()) GTEST_SKIP() << "the user qpcseal has a home of its own";
  set("QPCSEAL_HOME", "");
  set("XDG_DATA_HOME", "/srv/data");
  set("HOME", "/srv/user");
  EXPECT_EQ(locate_home().root, "/srv/data/qpcseal") << "an empty variable counts as none";
  unsetenv("XDG_DATA_HOME");
  EXPECT_EQ(locate_home().root, "/srv/user/.local/share/qpcseal");
}

TEST_F(HomeVariables, RefusesAHomeThatIsNotAbsolute) {
  set("QPCSEAL_HOME", "seal");
  EXPECT_ERROR(Usage, "QPCSEAL_HOME must be an absolute path, not 'seal'", locate_home());
  if (is_service_user()) return;
  unsetenv("QPCSEAL_HOME");
  set("XDG_DATA_HOME", "data");
  EXPECT_ERROR(Usage, "XDG_DATA_HOME must be an absolute path, not 'data/qpcseal'", locate_home());
  unsetenv("XDG_DATA_HOME");
  set("HOME", "user");
  EXPECT_ERROR(Usage, "HOME must be an absolute path", locate_home());
}

TEST_F(HomeVariables, RefusesToGuessAHome) {
  if (is_service_user()) GTEST_SKIP() << "the user qpcseal has a home of its own";
  EXPECT_ERROR(Usage, "no home folder", locate_home());
}

TEST_F(HomeVariables, OnlyTheFirstEntrySaysThatAHomeIsADemonstration) {
  for (const bool demo : {true, false}) {
    const TempFolder folder;
    HostLog host(folder / "log");
    encoding::Json genesis = testing::genesis_data();
    genesis["insecure_demo"] = demo;
    static_cast<void>(audit::Log::create(host.settings(), host.signer, testing::kOrigin, genesis));
    set("QPCSEAL_HOME", folder.path());
    EXPECT_EQ(is_demo_home(), demo);
  }
}

TEST_F(HomeVariables, AHomeWithoutAReadableLogIsNoDemonstration) {
  EXPECT_FALSE(is_demo_home()) << "no home is named";
  const TempFolder folder;
  set("QPCSEAL_HOME", folder.path());
  EXPECT_FALSE(is_demo_home()) << "no log";
  fs::create_directory(folder / "log");
  write_text(folder / "log/entries.jsonl", "{\"insecure_demo\":true}\n");
  write_text(folder / "log/checkpoint", "");
  EXPECT_FALSE(is_demo_home()) << "no entry";
}

class SiteFile : public ::testing::Test {
 protected:
  TempFolder folder;
  Home home{folder.path()};
  Site site{"/usr/lib/module.so", "label", "serial", true, "tty", {}};

  Site read_back() {
    write_text(home.site(), site.text(home));
    return Site::read(home.site());
  }
  Site read_as(const std::string& text) {
    write_text(home.site(), text);
    return Site::read(home.site());
  }
  // The file's text with the first `from` replaced.
  [[nodiscard]] std::string text_with(const std::string& from, const std::string& to) const {
    std::string text = site.text(home);
    return text.replace(text.find(from), from.size(), to);
  }
};

TEST_F(SiteFile, ReadsWhatItWrote) {
  for (const std::string& odd :
       {std::string("plain"), std::string("a \"quoted\" one"), std::string("back\\slash"),
        std::string("line\nfeed\ttab"), std::string("M\xc3\xbcller's #1 = x"), std::string()}) {
    site.token_label = site.module = site.token_serial = odd;
    const Site got = read_back();
    EXPECT_EQ(got.token_label, odd);
    EXPECT_EQ(got.module, odd);
    EXPECT_EQ(got.token_serial, odd);
  }
  for (const bool embedded : {true, false}) {
    site.embedded = embedded;
    EXPECT_EQ(read_back().embedded, embedded);
  }
  EXPECT_EQ(read_back().pin_source, "tty");
}

TEST_F(SiteFile, NamesAPinFileOfTheHomeByItsPlaceThere) {
  site.pin_source = "file:" + (home.root / "pin").string();
  EXPECT_NE(site.text(home).find("pin_source = \"file:pin\"\n"), std::string::npos);
  EXPECT_EQ(read_back().pin_source, site.pin_source);
  const TempFolder moved;
  fs::copy_file(home.site(), moved / "site.toml");
  EXPECT_EQ(Site::read(moved / "site.toml").pin_source, "file:" + (moved / "pin").string())
      << "it moves with the home";
}

TEST_F(SiteFile, KeepsAPinFileElsewhereByItsPath) {
  for (const std::string& source : {std::string("file:/etc/pin"), "file:" + home.root.string() + "2/pin"}) {
    site.pin_source = source;
    EXPECT_EQ(read_back().pin_source, source);
  }
}

TEST_F(SiteFile, RefusesMissingUnknownAndMistypedKeys) {
  for (const char* key : {"module", "token_label", "token_serial", "embedded", "pin_source"}) {
    const std::string expected = std::string("'") + key + "' is missing";
    EXPECT_ERROR(Malformed, expected, read_as(text_with(std::string(key) + " =", "other =")));
    EXPECT_ERROR(Malformed, expected,
                 read_as(text_with(std::string(key) + " = ", std::string(key) + " = 7 #")));
  }
  EXPECT_ERROR(Malformed, "unknown key 'color'", read_as(site.text(home) + "color = \"red\"\n"));
  EXPECT_ERROR(Malformed, home.site().string() + ":2: ", read_as("module = \"a\"\nnothing\n"));
}

TEST_F(SiteFile, ListsFilesOfTheModuleByAbsolutePaths) {
  EXPECT_EQ(read_as(site.text(home) + "module_files = [\"/etc/a\", \"/b\"]\n").module_files,
            (std::vector<std::string>{"/etc/a", "/b"}));
  EXPECT_ERROR(Malformed, "'module_files' is not a list",
               read_as(site.text(home) + "module_files = \"/a\"\n"));
  for (const char* bad : {"\"a\"", "\"\"", "7", "[\"/a\"]"})
    EXPECT_ERROR(Malformed, "'module_files' is a list of absolute paths",
                 read_as(site.text(home) + "module_files = [\"/a\", " + bad + "]\n"));
}

TEST_F(SiteFile, RefusesFactsThatTheLogHas) {
  for (const char* key : {"module_sha256", "module_arguments", "anchor", "accept"})
    EXPECT_ERROR(Malformed, std::string("'") + key + "' is a fact of the site",
                 read_as(site.text(home) + key + " = \"x\"\n"));
}

TEST_F(SiteFile, IsBounded) {
  const std::string text = site.text(home);
  EXPECT_EQ(read_as(text + std::string(65536 - text.size(), '#')).token_label, "label");
  EXPECT_ERROR(Malformed, home.site().string(), read_as(text + std::string(65537 - text.size(), '#')));
}

TEST_F(SiteFile, TellsAHomeThatLostItFromNoHome) {
  EXPECT_ERROR(Io, "no appliance at " + home.root.string(), Site::read(home.site()));
  fs::create_directory(home.log());
  EXPECT_ERROR(Io, home.site().string() + " is gone", Site::read(home.site()));
}

TEST(ModuleArguments, NameTheHomeByAWord) {
  const Home home{"/srv/seal"};
  const std::string arguments = "configdir='/srv/seal/db' other='/srv/seal/x' beside='/srv/seal2'";
  const std::string kept = "configdir='{home}/db' other='{home}/x' beside='/srv/seal2'";
  EXPECT_EQ(without_home(arguments, home), kept);
  EXPECT_EQ(with_home(kept, home), arguments);
  EXPECT_EQ(with_home(kept, Home{"/mnt"}), "configdir='/mnt/db' other='/mnt/x' beside='/srv/seal2'");
  EXPECT_EQ(with_home("", home), "");
  EXPECT_EQ(with_home("{home}", Home{"/a/{home}"}), "/a/{home}") << "replaced once";
}

TEST(ModuleDigest, IsASha256) {
  audit::SiteFacts facts;
  facts.module_sha256 = std::string(62, '0') + "a5";
  EXPECT_EQ(module_digest(facts).back(), 0xa5);
  for (const std::size_t digits : {0U, 62U, 66U}) {
    facts.module_sha256 = std::string(digits, 'a');
    EXPECT_ERROR(Malformed, "not a SHA-256", module_digest(facts)) << digits;
  }
  facts.module_sha256 = std::string(64, 'g');
  EXPECT_ERROR(Malformed, "hex", module_digest(facts));
}

TEST(SiteFactsCheck, TakesOneToNinetyDaysAndKnownAttributes) {
  audit::SiteFacts facts;
  for (const std::uint64_t days : {1U, 90U}) {
    facts.clock_days = days;
    EXPECT_NO_THROW(check_facts(facts)) << days;
  }
  for (const std::uint64_t days : {0U, 91U}) {
    facts.clock_days = days;
    EXPECT_ERROR(Usage, "--clock-days: 1 to 90, not " + std::to_string(days), check_facts(facts));
  }
  facts.clock_days = 7;
  facts.accept = {"not-copyable", "local"};
  EXPECT_NO_THROW(check_facts(facts));
  facts.accept.emplace_back("sensitive");
  EXPECT_ERROR(Usage, "--accept sensitive: no such attribute", check_facts(facts));
}

}  // namespace
}  // namespace qpcseal::site
