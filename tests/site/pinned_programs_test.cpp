// SPDX-License-Identifier: Apache-2.0
// The programs in the site's facts after a change: what can be pinned, and how many.
#include <gtest/gtest.h>

#include "appliance/site/repair.h"
#include "base/digest.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::site {
namespace {

namespace fs = std::filesystem;
using qpcseal::testing::write_text;

// Programs that are pinned, of files in a folder of the test's.
class ChangedPrograms : public ::testing::Test {
 protected:
  // `name` with these files, its own first.
  audit::SiteFacts pinned(const std::string& name, const std::vector<std::string>& files) {
    change.programs.clear();
    for (const std::string& file : files) {
      if (!fs::exists(folder / file)) write_text(folder / file, file);
      change.programs[name].push_back(folder / file);
    }
    return now = changed(now, change, Home{"/srv"});
  }
  [[nodiscard]] audit::PinnedFile file(const std::string& name) const {
    return {folder / name, sha256_hex(name)};
  }

  testing::TempFolder folder{"/tmp"};  // not in /dev: a sandbox has its own there
  SiteChange change;
  audit::SiteFacts now;
};

TEST_F(ChangedPrograms, ArePinnedWithTheirFilesByPath) {
  pinned("verifier", {"v"});
  pinned("tool", {"main", "z.so", "a.so"});
  const audit::PinnedProgram tool{"tool", file("main"), {file("a.so"), file("z.so")}};
  EXPECT_EQ(now.programs, (std::vector{tool, audit::PinnedProgram{"verifier", file("v"), {}}}));
  pinned("tool", {"main"});
  EXPECT_EQ(now.programs.size(), 2U) << "anew, in its own place";
  EXPECT_EQ(now.programs[0].files.size(), 0U);
}

TEST_F(ChangedPrograms, AreForgottenByName) {
  pinned("tool", {"main"});
  change.programs.clear();
  change.forget_programs = {"tool"};
  EXPECT_EQ(changed(now, change, Home{"/srv"}).programs.size(), 0U);
  change.forget_programs = {"tol"};
  EXPECT_ERROR(Usage, "the site's facts pin no program 'tol'", changed(now, change, Home{"/srv"}));
}

TEST_F(ChangedPrograms, HaveNamesOfTheirOwnForm) {
  for (const std::string& name :
       {std::string("a b"), std::string("a/b"), std::string(65, 'a'), std::string()})
    EXPECT_ERROR(Usage, "'" + name + "' is no name of a program", pinned(name, {"main"}));
  pinned(std::string(64, 'a'), {"main"});
}

TEST_F(ChangedPrograms, HavePathsThatASandboxCanHave) {
  for (const std::string path : {"tool", "/proc/1/exe", "/usr/../bin/tool", "/a,b", ""}) {
    change.programs["tool"] = {path};
    EXPECT_ERROR(Usage, "'" + path + "' is no plain absolute path", changed(now, change, Home{"/srv"}));
    change.programs["tool"] = {"/usr/bin/true", path};
    EXPECT_ERROR(Usage, "'" + path + "' is no plain absolute path", changed(now, change, Home{"/srv"}));
  }
  change.programs["tool"] = {folder / "gone"};
  EXPECT_ERROR(Io, "gone", changed(now, change, Home{"/srv"}));
}

TEST_F(ChangedPrograms, NameEachFileOnce) {
  EXPECT_ERROR(Usage, "main is given twice", pinned("tool", {"main", "main"}));
  EXPECT_ERROR(Usage, "b is given twice", pinned("tool", {"main", "b", "a", "b"}));
}

TEST_F(ChangedPrograms, Have12FilesAndAre6) {
  std::vector<std::string> files{"main"};
  for (int i = 0; i < 12; ++i) files.push_back("file" + std::to_string(i));
  pinned("tool", files);
  files.emplace_back("one-more");
  EXPECT_ERROR(Usage, "program 'tool' has more than 12 files", pinned("tool", files));
  for (const char* name : {"b", "c", "d", "e", "f"}) pinned(name, {"main"});
  EXPECT_EQ(now.programs.size(), 6U);
  EXPECT_ERROR(Usage, "more than 6 programs", pinned("g", {"main"}));
}

}  // namespace
}  // namespace qpcseal::site
