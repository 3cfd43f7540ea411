// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/seal_input.h"

#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/models/model_files.h"

namespace qpcseal::models {
namespace {

using qpcseal::testing::put;
using qpcseal::testing::TempFolder;
using qpcseal::testing::usual_qpc;

class SealInputs : public ::testing::Test {
 protected:
  TempFolder dir;
  std::filesystem::path qpc = put(dir / "served/net.v1.qpc", usual_qpc());
  std::filesystem::path other = put(dir / "served/b.txt", "b");
};

TEST_F(SealInputs, AreASetWhereAFolderOrSeveralFilesAreGiven) {
  EXPECT_FALSE(is_set({qpc}));
  EXPECT_TRUE(is_set({dir / "served"}));
  EXPECT_TRUE(is_set({qpc, other}));
}

TEST_F(SealInputs, GiveTheModelItsName) {
  EXPECT_EQ(default_model_name({qpc}), "net.v1") << "the last extension goes";
  EXPECT_EQ(default_model_name({dir / "served/"}), "served");
  EXPECT_EQ(default_model_name({other, qpc}), "b.txt") << "of a set the whole name";
}

TEST_F(SealInputs, OfOneFileHaveItsDigest) {
  const SealInput input = read_seal_input({qpc});
  EXPECT_EQ(input.model, "net.v1");
  EXPECT_EQ(input.digest, sha256(usual_qpc()));
}

// The list that `sha256sum` writes.
TEST_F(SealInputs, OfASetHaveTheDigestOfTheirList) {
  const std::string b = sha256_hex("b"), net = sha256_hex(text_view(usual_qpc()));
  EXPECT_EQ(to_hex(read_seal_input({dir / "served"}).digest),
            sha256_hex(b + "  b.txt\n" + net + "  net.v1.qpc\n"));
  const SealInput turned = read_seal_input({qpc, other});
  EXPECT_EQ(turned.model, "net.v1.qpc");
  EXPECT_EQ(turned.digest, read_seal_input({dir / "served"}).digest) << "by path, not as they were given";
}

TEST_F(SealInputs, HaveADigestThatChangesWithEachPathAndContent) {
  const Sha256Digest before = read_seal_input({dir / "served"}).digest;
  put(other, "c");
  EXPECT_NE(read_seal_input({dir / "served"}).digest, before);
  put(other, "b");
  EXPECT_EQ(read_seal_input({dir / "served"}).digest, before);
  std::filesystem::rename(other, dir / "served/a.txt");
  EXPECT_NE(read_seal_input({dir / "served"}).digest, before);
}

TEST_F(SealInputs, ThatCannotBeReadAreRefused) {
  EXPECT_ERROR(Io, "No such file", read_seal_input({dir / "none.qpc"}));
  std::filesystem::remove(qpc);
  EXPECT_ERROR(Usage, "nothing that was given is a QPC", read_seal_input({dir / "served"}));
}

TEST(DigestOfList, OfNothingIsThatOfNoText) { EXPECT_EQ(digest_of_list({}), sha256({})); }

}  // namespace
}  // namespace qpcseal::models
