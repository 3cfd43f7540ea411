// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/commands/vkey.h"

#include <gtest/gtest.h>

#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::cli {
namespace {

using qpcseal::testing::TempFolder;
using qpcseal::testing::write_text;

constexpr const char* kVkey = "log.test+0a1b2c3d+AQEB";

class VerificationKeys : public ::testing::Test {
 protected:
  [[nodiscard]] std::string of_file(const std::string& text) const {
    write_text(folder / "key", text);
    return vkey_text(folder / "key");
  }
  TempFolder folder;
};

TEST_F(VerificationKeys, AreTheTextThatWasGiven) {
  EXPECT_EQ(vkey_text(kVkey), kVkey);
  EXPECT_EQ(vkey_text(std::string("\t ") + kVkey + " \r\n"), kVkey);
}

TEST_F(VerificationKeys, AreTheOneLineOfAFile) {
  EXPECT_EQ(of_file(std::string(kVkey) + "\n"), kVkey);
  EXPECT_EQ(of_file("\n " + std::string(kVkey) + "\r\n\n"), kVkey);
}

TEST_F(VerificationKeys, AreAFilesAlsoWhereItsNameLooksLikeOne) {
  const std::string name = folder / "a+b+c";
  write_text(name, kVkey);
  EXPECT_EQ(vkey_text(name), kVkey);
  std::filesystem::remove(name);
  EXPECT_EQ(vkey_text(name), name) << "no such file: a key, whose form its reader checks";
}

TEST_F(VerificationKeys, AreNoFileWithMoreInIt) {
  const std::string why = "key: not one line with a verification key, name+id+key";
  EXPECT_ERROR(Malformed, why, of_file(std::string(kVkey) + "\n" + kVkey + "\n"));
  EXPECT_ERROR(Malformed, why, of_file("a+b\n"));
  EXPECT_ERROR(Malformed, why, of_file(""));
  EXPECT_ERROR(Malformed, "an officers file, not a verification key",
               of_file("a@b namespaces=\"x\" ssh-ed25519 A+A+A\n"));
}

TEST_F(VerificationKeys, AreInAFileOf64KiBAtMost) {
  const std::string blanks(65536 - std::string(kVkey).size(), '\n');
  EXPECT_EQ(of_file(kVkey + blanks), kVkey);
  EXPECT_ERROR(Malformed, "key", of_file(kVkey + blanks + "\n"));
}

TEST_F(VerificationKeys, AreAKeyOrAFile) {
  EXPECT_ERROR(Io, "'gone' is neither a verification key (name+id+key) nor a file", vkey_text("gone"));
  EXPECT_ERROR(Io, "'' is neither", vkey_text(""));
  EXPECT_ERROR(Io, folder.path().string(), vkey_text(folder.path()));
}

}  // namespace
}  // namespace qpcseal::cli
