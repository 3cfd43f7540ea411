// SPDX-License-Identifier: Apache-2.0
// What one listing of a token tells: MEKs in their order, and what is left of runs that were cut short.
#include "appliance/keys/contents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/keys/mek_list.h"
#include "appliance/keys/signing.h"
#include "tests/base/expect_error.h"
#include "tests/support/tokens.h"

namespace qpcseal::keys {
namespace {

using pkcs11::Object;
using pkcs11::Template;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::TestToken;
using ::testing::UnorderedElementsAre;

class Listing : public ::testing::Test {
 protected:
  std::unique_ptr<TestToken> token = TestToken::softhsm();
  pkcs11::Session& session = token->session();

  Object make_key(const std::string& label, const Bytes& id, bool in_token = true) {
    Template key;
    key.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES).number(CKA_VALUE_LEN, 16);
    key.flag(CKA_TOKEN, in_token).text(CKA_LABEL, label).bytes(CKA_ID, id);
    return session.generate({CKM_AES_KEY_GEN, nullptr, 0}, key, "key");
  }
  Object make_data(const std::string& label, const std::string& application) {
    Template data;
    data.number(CKA_CLASS, CKO_DATA).flag(CKA_TOKEN, true).text(CKA_VALUE, "x");
    data.text(CKA_LABEL, label).text(CKA_APPLICATION, application);
    return session.create(data, "data");
  }
  std::vector<std::string> mek_labels() {
    std::vector<std::string> out;
    for (const Mek& mek : list_contents(session).meks) out.push_back(mek.label);
    return out;
  }
  std::vector<std::string> left() {
    std::vector<std::string> out;
    for (const Leftover& one : list_contents(session).leftovers)
      out.push_back(one.object.name + (one.probe ? ", ours" : ""));
    return out;
  }
};

TEST_F(Listing, OfANewTokenIsEmpty) {
  EXPECT_THAT(mek_labels(), IsEmpty());
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(Listing, HasMeksByNameGenerationAndId) {
  for (const auto& [label, id] : std::vector<std::pair<std::string, std::uint8_t>>{
           {"net#10", 1}, {"net#2", 9}, {"a#1", 5}, {"net#2", 3}})
    make_key(label, Bytes(16, id));
  EXPECT_THAT(mek_labels(), ElementsAre("a#1", "net#2", "net#2", "net#10"));
  const std::vector<Mek> meks = list_contents(session).meks, alone = list_meks(session);
  EXPECT_EQ(meks.at(1).id, Bytes(16, 3));
  ASSERT_EQ(alone.size(), meks.size());
  for (std::size_t i = 0; i < meks.size(); ++i) EXPECT_EQ(alone[i].object.handle, meks[i].object.handle);
  EXPECT_EQ(meks.at(3).name, "net");
  EXPECT_EQ(meks.at(3).generation, 10U);
  EXPECT_EQ(meks.at(3).object.name, "key 'net#10'");
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(Listing, TakesForAMekOnlyATokenKeyWithItsNameAndId) {
  const Bytes id(16, 7);
  for (const char* label : {"net", "#1", "a b#1", "net#", "net#0", "net#01", "net#x", "net#1234567890"})
    make_key(label, id);
  make_key("short#1", Bytes(15, 7));
  make_key("long#1", Bytes(17, 7));
  make_key("session#1", id, false);
  Template other;
  other.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_GENERIC_SECRET);
  other.number(CKA_VALUE_LEN, 16).flag(CKA_TOKEN, true).text(CKA_LABEL, "secret#1").bytes(CKA_ID, id);
  session.generate({CKM_GENERIC_SECRET_KEY_GEN, nullptr, 0}, other, "secret");
  EXPECT_THAT(mek_labels(), IsEmpty());
  EXPECT_THAT(left(), IsEmpty()) << "they have names, and belong to somebody";
}

TEST_F(Listing, NamesHalfMadeObjectsOfEachClass) {
  make_key("", {});
  make_data("", "");
  Template publics, privates;
  publics.number(CKA_KEY_TYPE, CKK_RSA).flag(CKA_TOKEN, true).number(CKA_MODULUS_BITS, 1024);
  privates.number(CKA_KEY_TYPE, CKK_RSA).flag(CKA_TOKEN, true);
  session.generate_pair({CKM_RSA_PKCS_KEY_PAIR_GEN, nullptr, 0}, publics, privates, "pair");
  EXPECT_THAT(left(), UnorderedElementsAre(
                          "secret key without label and id", "data object without label and application",
                          "public key without label and id", "private key without label and id"));
}

TEST_F(Listing, LeavesWhatHasHalfAName) {
  make_key("label", {});
  make_key("", Bytes(1, 1));
  make_data("label", "");
  make_data("", "application");
  EXPECT_THAT(left(), IsEmpty());
}

// A probe's object is ours whatever else it has; no probe makes a data object of this label.
TEST_F(Listing, KnowsThrowAwayObjectsByTheirLabel) {
  make_key(std::string(kProbeLabel), Bytes(16, 1));
  generate_signing_key(session, std::string(kProbeLabel), SigningType::Ed25519);
  make_data(std::string(kProbeLabel), "x");
  make_key(std::string(kProbeLabel) + "2", {});
  EXPECT_THAT(left(),
              UnorderedElementsAre("secret key 'qpcseal-probe', ours", "public key 'qpcseal-probe', ours",
                                   "private key 'qpcseal-probe', ours"));
}

TEST_F(Listing, GivesHandlesByWhichLeftoversGo) {
  make_key("net#1", Bytes(16, 1));
  make_key("", {});
  for (const Leftover& one : list_contents(session).leftovers) session.destroy(one.object);
  EXPECT_THAT(left(), IsEmpty());
  EXPECT_THAT(mek_labels(), ElementsAre("net#1"));
}

TEST_F(Listing, FailsWhereTheSessionIsGone) {
  token->module().calls().C_CloseAllSessions(token->info().slot);
  EXPECT_ERROR(Token, "C_FindObjectsInit(): CKR_SESSION_HANDLE_INVALID", list_contents(session));
}

TEST_F(Listing, ReadsOneMekFromItsHandle) {
  const Object good = make_key("net#3", Bytes(16, 4)), bad = make_key("net", Bytes(16, 4));
  const auto mek = mek_from(session, good.handle);
  ASSERT_TRUE(mek);
  EXPECT_EQ(mek->label + " of " + mek->name, "net#3 of net");
  EXPECT_EQ(mek->generation, 3U);
  EXPECT_EQ(mek->id, Bytes(16, 4));
  EXPECT_EQ(mek->object.handle, good.handle);
  EXPECT_FALSE(mek_from(session, bad.handle));
  session.destroy(good);
  EXPECT_ERROR(Token, "CKR_OBJECT_HANDLE_INVALID", mek_from(session, good.handle));
}

}  // namespace
}  // namespace qpcseal::keys
