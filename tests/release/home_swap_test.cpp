// SPDX-License-Identifier: Apache-2.0
// A restored state takes a home's place whole, by exchange or in place; what a kill leaves, the next start
// settles; the machine's own files are never lost and never two.
#include "appliance/site/home_swap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::release {
namespace {

using qpcseal::testing::TempFolder;
using std::filesystem::path;
using ::testing::Contains;
using ::testing::Pair;

constexpr const char* kAside = "before-restore-test";

void put(const path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

// All files below a folder, with their contents.
std::map<std::string, std::string> files_in(const path& dir) {
  std::map<std::string, std::string> out;
  for (const auto& item : std::filesystem::recursive_directory_iterator(dir))
    if (item.is_regular_file()) out[item.path().lexically_relative(dir)] = read_text_file(item.path(), 1000);
  return out;
}

nlink_t links_of(const path& file) {
  struct stat status{};
  EXPECT_EQ(lstat(file.c_str(), &status), 0);
  return status.st_nlink;
}

class HomeSwap : public ::testing::TestWithParam<site::SwapWay> {
 protected:
  TempFolder folder;
  site::Home home{folder.path() / "home"};

  void SetUp() override {
    put(home.log() / "entries.jsonl", "old log");
    put(home.policy(), "old policy");
    put(home.collateral(), "old bundle");
    put(home.site(), "site");
    put(home.lock(), "");
    put(home.tokens() / "a" / "token.object", "keys");
    put(home.root / "pin", "1234");
    put(home.root / "before-restore-earlier" / "policy.toml", "older policy");
  }
  static void fill(const path& dir) {
    put(dir / "log" / "entries.jsonl", "new log");
    put(dir / "policy.toml", "new policy");
    put(dir / "reports" / "r", "new report");
  }
  bool swap(const std::function<void(const path&)>& act = fill) const {
    return site::swap_state(home, kAside, act, GetParam());
  }
  void expect_machine_files() const {
    const auto files = files_in(home.root);
    EXPECT_THAT(files, Contains(Pair("site.toml", "site")));
    EXPECT_THAT(files, Contains(Pair("pin", "1234")));
    EXPECT_THAT(files, Contains(Pair("tokens/a/token.object", "keys")));
    EXPECT_EQ(links_of(home.tokens() / "a" / "token.object"), 1U) << "the token lies in one folder alone";
    EXPECT_EQ(links_of(home.root / "pin"), 1U);
    EXPECT_THAT(files, Contains(Pair("before-restore-earlier/policy.toml", "older policy")));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1) << "only the home";
    for (const char* left : {".restore", ".restoring"})
      EXPECT_FALSE(std::filesystem::exists(home.root / left)) << left;
  }
  void expect_old() const {
    const auto files = files_in(home.root);
    EXPECT_THAT(files, Contains(Pair("log/entries.jsonl", "old log")));
    EXPECT_THAT(files, Contains(Pair("policy.toml", "old policy")));
    EXPECT_THAT(files, Contains(Pair("collateral.json", "old bundle")));
    EXPECT_FALSE(files.contains("reports/r"));
    expect_machine_files();
  }
  void expect_new(const std::string& aside = kAside) const {
    const auto files = files_in(home.root);
    EXPECT_THAT(files, Contains(Pair("log/entries.jsonl", "new log")));
    EXPECT_THAT(files, Contains(Pair("policy.toml", "new policy")));
    EXPECT_FALSE(files.contains("collateral.json")) << "nothing of the old state is mixed in";
    EXPECT_THAT(files, Contains(Pair(aside + "/log/entries.jsonl", "old log")));
    EXPECT_THAT(files, Contains(Pair(aside + "/collateral.json", "old bundle")));
    for (const char* dir : {"reports", "approvals", "witness"})
      EXPECT_TRUE(std::filesystem::is_directory(home.root / dir)) << dir;
    expect_machine_files();
  }
};

INSTANTIATE_TEST_SUITE_P(Ways, HomeSwap, ::testing::Values(site::SwapWay::Exchange, site::SwapWay::InPlace),
                         [](const auto& way) {
                           return way.param == site::SwapWay::Exchange ? "Exchange" : "InPlace";
                         });

TEST_P(HomeSwap, PutsTheNewStateInPlaceAndTheOldOneAside) {
  EXPECT_TRUE(swap());
  expect_new();
}

TEST_P(HomeSwap, LeavesTheOldStateWhereFillingFails) {
  EXPECT_ERROR(Io, "no room", swap([](const path& dir) {
                 fill(dir);
                 throw Error(ErrorKind::Io, "no room");
               }));
  expect_old();
}

TEST_P(HomeSwap, LeavesTheOldStateWhereTheNameIsTaken) {
  put(home.root / kAside / "mine", "mine");
  EXPECT_ERROR(Io, kAside, swap());
  expect_old();
}

TEST_P(HomeSwap, NeedsNoOldState) {
  std::filesystem::remove_all(home.root);
  std::filesystem::create_directory(home.root);
  put(home.lock(), "");
  EXPECT_FALSE(swap());
  EXPECT_TRUE(site::has_state(home));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST_P(HomeSwap, IsDoneTwiceInOneSecond) {
  EXPECT_TRUE(swap());
  EXPECT_TRUE(site::swap_state(home, "before-restore-second", fill, GetParam()));
  EXPECT_THAT(files_in(home.root), Contains(Pair("before-restore-second/log/entries.jsonl", "new log")));
  EXPECT_THAT(files_in(home.root), Contains(Pair("before-restore-test/log/entries.jsonl", "old log")));
}

class Settle : public HomeSwap {};
INSTANTIATE_TEST_SUITE_P(Any, Settle, ::testing::Values(site::SwapWay::Exchange));

TEST_P(Settle, RemovesWhatWasBuiltBesideAndNotExchanged) {
  fill(folder.path() / ".home.restoring");
  std::filesystem::create_directory(folder.path() / ".home.restoring/tokens");
  std::filesystem::create_hard_link(home.root / "pin", folder.path() / ".home.restoring/pin");
  site::settle_restore(home);
  expect_old();
}

TEST_P(Settle, SetsTheOldHomeAsideAfterTheExchange) {
  const path beside = folder.path() / ".home.restoring";
  std::filesystem::rename(home.root, beside);
  fill(home.root);
  site::make_home_folders(home.root);
  for (const char* name : {"site.toml", "pin", "lock"})
    std::filesystem::create_hard_link(beside / name, home.root / name);
  std::filesystem::create_directories(home.tokens() / "a");
  std::filesystem::create_hard_link(beside / "tokens/a/token.object", home.tokens() / "a/token.object");
  put(home.root / ".restoring", kAside);
  site::settle_restore(home);
  expect_new();
}

TEST_P(Settle, PutsBackWhatWasOnTheMove) {
  const path inside = home.root / ".restore";
  for (const char* name : {"log", "policy.toml", "reports"})
    std::filesystem::create_directories(inside / "names" / name);
  std::filesystem::create_directories(inside / "old");
  fill(inside / "new");
  put(inside / "aside", kAside);
  std::filesystem::rename(home.log(), inside / "old/log");
  std::filesystem::rename(home.policy(), inside / "old/policy.toml");
  // The bundle was not reached yet; then, further on, two of the new items are in.
  const path snapshot = folder.path() / "snapshot";
  std::filesystem::copy(home.root, snapshot, std::filesystem::copy_options::recursive);
  site::settle_restore(home);
  std::filesystem::rename(snapshot, folder.path() / "home2");
  const site::Home further{folder.path() / "home2"};
  std::filesystem::rename(further.collateral(), further.root / ".restore/old/collateral.json");
  for (const char* name : {"policy.toml", "reports"})
    std::filesystem::rename(further.root / ".restore/new" / name, further.root / name);
  site::settle_restore(further);
  EXPECT_EQ(files_in(home.root), files_in(further.root));
  std::filesystem::remove_all(further.root);
  expect_old();
}

TEST_P(Settle, FinishesWhatWasDone) {
  const path inside = home.root / ".restore";
  std::filesystem::create_directories(inside / "done");
  std::filesystem::create_directories(inside / "old");
  put(inside / "aside", kAside);
  for (const char* name : {"log", "policy.toml", "collateral.json"})
    std::filesystem::rename(home.root / name, inside / "old" / name);
  fill(home.root);
  site::make_home_folders(home.root);
  site::settle_restore(home);
  expect_new();
}

}  // namespace
}  // namespace qpcseal::release
