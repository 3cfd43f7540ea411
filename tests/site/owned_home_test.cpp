// SPDX-License-Identifier: Apache-2.0
// Who may change the home, the space that it reserves, and its embedded token's configuration.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "appliance/site/home.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::site {
namespace {

namespace fs = std::filesystem;
using qpcseal::testing::read_text;
using qpcseal::testing::TempFolder;
using qpcseal::testing::write_text;

class OwnedHome : public ::testing::Test {
 protected:
  TempFolder folder;
  Home home{folder.path() / "home"};

  OwnedHome() {
    make(home.root);
    for (const fs::path& dir : {home.log(), home.trust(), home.tokens(), home.token_copies(),
                                home.approvals(), home.reports(), home.witness()})
      make(dir);
    for (const fs::path& file : {home.site(), home.policy(), home.officers(), home.collateral(),
                                 home.pending(), home.log() / "entries.jsonl", home.trust() / "root.pem",
                                 home.tokens() / "token.object", home.token_copies() / "token.object"}) {
      write_text(file, "x");
      chmod(file.c_str(), 0600);
    }
  }
  static void make(const fs::path& dir) {
    fs::create_directory(dir);
    chmod(dir.c_str(), 0700);
  }
  static mode_t mode_of(const fs::path& path) {
    struct stat status{};
    EXPECT_EQ(stat(path.c_str(), &status), 0);
    return status.st_mode & 07777;
  }
};

TEST_F(OwnedHome, IsGoodWhereNobodyElseWrites) {
  EXPECT_NO_THROW(check_ownership(home));
  for (const auto& item : fs::directory_iterator(home.root))
    if (item.path() != home.log()) fs::remove_all(item);
  EXPECT_NO_THROW(check_ownership(home)) << "what is not there cannot be exchanged";
}

TEST_F(OwnedHome, IsRefusedWhereOthersWriteWhatDecides) {
  const fs::path all[] = {home.root,
                          home.site(),
                          home.policy(),
                          home.officers(),
                          home.log(),
                          home.trust(),
                          home.tokens(),
                          home.token_copies(),
                          home.approvals(),
                          home.reports(),
                          home.witness(),
                          home.pending(),
                          home.collateral(),
                          home.log() / "entries.jsonl",
                          home.trust() / "root.pem",
                          home.tokens() / "token.object",
                          home.token_copies() / "token.object"};
  for (const fs::path& path : all) {
    const mode_t before = mode_of(path);
    for (const mode_t more : {020U, 002U}) {
      chmod(path.c_str(), before | more);
      EXPECT_ERROR(Denied, "others could change what decides here: " + path.string(), check_ownership(home))
          << path;
    }
    chmod(path.c_str(), before | 055U);
    EXPECT_NO_THROW(check_ownership(home)) << path << " may be read";
    chmod(path.c_str(), before);
  }
}

TEST_F(OwnedHome, HintsAtTheCommandThatMendsIt) {
  chmod(home.policy().c_str(), 0666);
  try {
    check_ownership(home);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "chmod go-w " + home.policy().string());
  }
}

TEST_F(OwnedHome, IsReadOnlyForOthers) {
  EXPECT_FALSE(is_read_only(home));
  EXPECT_FALSE(is_read_only(Home{folder / "none"})) << "what is not there says so elsewhere";
  if (geteuid() != 0) {
    chmod(home.root.c_str(), 0500);
    EXPECT_TRUE(is_read_only(home));
    return;
  }
  const auto ask_as_nobody = [&] {
    if (setuid(65534) != 0) _exit(2);
    _exit(is_read_only(home) ? 0 : 1);
  };
  EXPECT_EXIT(ask_as_nobody(), ::testing::ExitedWithCode(0), "");
}

TEST_F(OwnedHome, ReservesBlocksOfItsOwnOnce) {
  keep_reserve(home);
  struct stat status{};
  ASSERT_EQ(stat(home.reserve().c_str(), &status), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(status.st_size), kReserve);
  EXPECT_GE(static_cast<std::uint64_t>(status.st_blocks) * 512, kReserve)
      << "a file with holes reserves nothing";
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  write_text(home.reserve(), "short");
  keep_reserve(home);
  EXPECT_EQ(read_text(home.reserve()), "short") << "the one that is there stays";
  give_up_reserve(home);
  EXPECT_TRUE(fs::exists(home.reserve())) << "the disk has space";
}

TEST_F(OwnedHome, ReservesNothingThroughALinkOrWithoutALog) {
  fs::create_symlink(folder / "elsewhere", home.reserve());
  keep_reserve(home);
  EXPECT_FALSE(fs::exists(folder / "elsewhere"));
  fs::remove_all(home.log());
  keep_reserve(home);
  EXPECT_FALSE(fs::exists(home.log()));
}

TEST_F(OwnedHome, ConfiguresTheModuleOfAnEmbeddedTokenAlone) {
  unsetenv("SOFTHSM2_CONF");
  prepare_module(home, {"/m.so", "label", "", false, "tty", {}});
  EXPECT_EQ(std::getenv("SOFTHSM2_CONF"), nullptr);
  const Site embedded{"/m.so", "label", "", true, "tty", {}};
  prepare_module(home, embedded);
  const char* file = std::getenv("SOFTHSM2_CONF");
  ASSERT_NE(file, nullptr);
  const std::string text = read_text(file), key = "directories.tokendir = ";
  ASSERT_TRUE(text.starts_with(key)) << text;
  EXPECT_TRUE(fs::equivalent(text.substr(key.size(), text.find('\n') - key.size()), home.tokens()));
  fs::remove_all(home.tokens());
  EXPECT_ERROR(Token, "the home has no token: " + home.tokens().string(), prepare_module(home, embedded));
  unsetenv("SOFTHSM2_CONF");
}

}  // namespace
}  // namespace qpcseal::site
