// SPDX-License-Identifier: Apache-2.0
// The log's anchor as data objects of a token: the new one is there before an old one goes.
#include "appliance/keys/token_anchor.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/base/expect_error.h"
#include "tests/support/tokens.h"

namespace qpcseal::keys {
namespace {

using audit::AnchorState;
using pkcs11::Template;
using testing::TestToken;

AnchorState state_of(std::uint64_t size) {
  AnchorState out;
  out.size = size;
  out.root.fill(static_cast<std::uint8_t>(size));
  return out;
}

class Anchors : public ::testing::Test {
 protected:
  std::unique_ptr<TestToken> token = TestToken::softhsm();
  pkcs11::Session& session = token->session();
  TokenAnchor anchor{session};

  std::size_t count(const std::string& label = "qpcseal-anchor") {
    return session.find(Template().text(CKA_LABEL, label)).size();
  }
  void make_data(const Bytes& value, const std::string& label = "qpcseal-anchor") {
    Template data;
    data.number(CKA_CLASS, CKO_DATA).flag(CKA_TOKEN, true).flag(CKA_PRIVATE, true);
    data.text(CKA_LABEL, label).text(CKA_APPLICATION, "qpcseal").bytes(CKA_VALUE, value);
    session.create(data, "data");
  }
};

TEST_F(Anchors, AreReadAsWrittenByAnotherSession) {
  EXPECT_FALSE(anchor.read());
  AnchorState wide = state_of(1);
  wide.size = 0x0102030405060708;
  anchor.write(wide);
  pkcs11::Session other(token->module(), token->info(), pkcs11::Access::ReadOnly);
  EXPECT_EQ(TokenAnchor(other).read(), wide);
}

TEST_F(Anchors, ArePrivateObjectsOfTheToken) {
  anchor.write(state_of(1));
  Template wanted;
  wanted.number(CKA_CLASS, CKO_DATA).flag(CKA_TOKEN, true).flag(CKA_PRIVATE, true);
  EXPECT_EQ(session.find(wanted.text(CKA_APPLICATION, "qpcseal")).size(), 1U);
}

TEST_F(Anchors, KeepTheOneBeforeTheNewest) {
  for (const std::uint64_t size : {1U, 2U, 3U, 4U}) {
    anchor.write(state_of(size));
    EXPECT_EQ(anchor.read(), state_of(size));
    EXPECT_EQ(count(), std::min<std::size_t>(size, 2));
  }
  const auto found = session.find(Template().text(CKA_LABEL, "qpcseal-anchor"));
  for (const CK_OBJECT_HANDLE handle : found)
    if (session.attribute({handle, "anchor"}, CKA_VALUE)->at(7) == 4) session.destroy({handle, "anchor"});
  EXPECT_EQ(anchor.read(), state_of(3)) << "a token that loses the last object has the one before";
}

TEST_F(Anchors, AreMadeBeforeOldOnesGo) {
  anchor.write(state_of(1));
  anchor.write(state_of(2));
  std::size_t seen = 0;
  TokenAnchor told(session, [&] { seen = count(); });
  told.write(state_of(3));
  EXPECT_EQ(seen, 3U);
  EXPECT_EQ(count(), 2U);
}

TEST_F(Anchors, StayWhereAWriteIsCutShort) {
  anchor.write(state_of(1));
  anchor.write(state_of(2));
  TokenAnchor cut(session, [] { throw Error(ErrorKind::Io, "the power went"); });
  EXPECT_ERROR(Io, "the power went", cut.write(state_of(3)));
  EXPECT_EQ(count(), 3U);
  EXPECT_EQ(anchor.read(), state_of(3));
  anchor.write(state_of(4));
  EXPECT_EQ(count(), 2U) << "the next write clears up";
}

TEST_F(Anchors, OfAReadOnlySessionStayAsTheyWere) {
  anchor.write(state_of(1));
  pkcs11::Session other(token->module(), token->info(), pkcs11::Access::ReadOnly);
  EXPECT_ERROR(Token, "C_CreateObject(log anchor): CKR_SESSION_READ_ONLY",
               TokenAnchor(other).write(state_of(2)));
  EXPECT_EQ(anchor.read(), state_of(1));
}

TEST_F(Anchors, HalfWrittenCountForNothing) {
  make_data({});
  make_data(Bytes(39, 0xff));
  make_data(Bytes(41, 0xff));
  make_data(Bytes(40, 0));  // of a probe: size 0
  EXPECT_FALSE(anchor.read());
  anchor.write(state_of(5));
  EXPECT_EQ(anchor.read(), state_of(5));
  EXPECT_EQ(count(), 1U) << "there was no older one to keep";
}

TEST_F(Anchors, AreRemovedAllAndNothingElse) {
  anchor.write(state_of(1));
  anchor.write(state_of(2));
  make_data({});
  make_data(Bytes(40, 1), "another label");
  anchor.remove();
  EXPECT_EQ(count(), 0U);
  EXPECT_EQ(count("another label"), 1U);
  EXPECT_FALSE(anchor.read());
}

TEST_F(Anchors, AreTriedWithoutATrace) {
  anchor.write(state_of(7));
  EXPECT_TRUE(can_anchor(session));
  EXPECT_EQ(count(), 1U);
  EXPECT_EQ(anchor.read(), state_of(7));
  pkcs11::Session other(token->module(), token->info(), pkcs11::Access::ReadOnly);
  EXPECT_FALSE(can_anchor(other)) << "it makes no objects of the token";
}

TEST_F(Anchors, FailWhereTheSessionIsGone) {
  token->module().calls().C_CloseAllSessions(token->info().slot);
  EXPECT_ERROR(Token, "C_FindObjectsInit(): CKR_SESSION_HANDLE_INVALID", anchor.read());
  EXPECT_ERROR(Token, "C_GetSessionInfo(token 'test'): CKR_SESSION_HANDLE_INVALID", can_anchor(session))
      << "a passing fault must not read as a token without data objects";
}

}  // namespace
}  // namespace qpcseal::keys
