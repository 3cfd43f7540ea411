// SPDX-License-Identifier: Apache-2.0
// Which PIN a token has, found by trying; and what a token can do, found by trying.
#include "pkcs11/user_pin.h"

#include <gtest/gtest.h>

#include "pkcs11/probe.h"
#include "tests/base/expect_error.h"
#include "tests/support/tokens.h"

namespace qpcseal::pkcs11 {
namespace {

using qpcseal::testing::test_pin;
using qpcseal::testing::TestToken;

class UserPins : public ::testing::Test {
 protected:
  // The test's token is logged in; each test begins without.
  UserPins() { pin.logout(); }

  std::unique_ptr<TestToken> token = TestToken::softhsm();
  UserPin pin{token->module(), token->info()};

  static SecretBuffer wrong() {
    SecretBuffer out = test_pin();
    out.bytes()[0] ^= 1;
    return out;
  }
};

TEST_F(UserPins, AreTriedOnceEach) {
  EXPECT_FALSE(pin.try_login(wrong()));
  EXPECT_TRUE(pin.try_login(test_pin()));
}

TEST_F(UserPins, AreOfTheWholeProcess) {
  ASSERT_TRUE(pin.try_login(test_pin()));
  EXPECT_ERROR(Token, "C_Login(token 'test')", pin.try_login(test_pin())) << "logged in already";
  EXPECT_NO_THROW(token->session().find(Template().flag(CKA_PRIVATE, true)));
  UserPin other(token->module(), token->info());
  other.logout();
  EXPECT_TRUE(pin.try_login(test_pin())) << "every session was logged out";
}

TEST_F(UserPins, AreErrorsWhereTheSessionIsGone) {
  ASSERT_EQ(token->module().calls().C_CloseAllSessions(token->info().slot), CKR_OK);
  EXPECT_ERROR(Token, "C_Login(token 'test')", pin.try_login(wrong())) << "not a wrong PIN";
  EXPECT_ERROR(Token, "C_Logout(token 'test')", pin.logout());
}

TEST_F(UserPins, OfATokenThatIsNotThereAreErrors) {
  TokenInfo gone = token->info();
  gone.slot += 4096;
  gone.label = "gone";
  EXPECT_ERROR(Token, "C_OpenSession(token 'gone')", UserPin(token->module(), gone));
}

TEST_F(UserPins, DoNotLockWhereNothingIsWrong) {
  EXPECT_FALSE(pin.may_lock());
  EXPECT_TRUE(pin.try_login(test_pin()));
  EXPECT_FALSE(pin.may_lock());
}

TEST_F(UserPins, LeaveTheLoginWhereTheirSessionEnds) {
  {
    UserPin brief(token->module(), token->info());
    EXPECT_TRUE(brief.try_login(test_pin()));
  }
  EXPECT_ERROR(Token, "C_Login", pin.try_login(test_pin())) << "still logged in";
}

class Probes : public ::testing::Test {
 protected:
  std::unique_ptr<TestToken> token = TestToken::softhsm();
  Session& session = token->session();
  int trials = 0;

  bool fails(int times, ErrorKind kind = ErrorKind::Token) {
    return probe(session, [&] {
      if (++trials <= times) throw Error(kind, "no such mechanism");
    });
  }
};

TEST_F(Probes, SayYesAfterOneTrialThatWorks) {
  EXPECT_TRUE(fails(0));
  EXPECT_EQ(trials, 1);
}

TEST_F(Probes, ForgiveOneFault) {
  EXPECT_TRUE(fails(1));
  EXPECT_EQ(trials, 2);
}

TEST_F(Probes, SayNoAfterTwoTrialsThatFail) {
  EXPECT_FALSE(fails(2));
  EXPECT_EQ(trials, 2) << "no third one";
}

TEST_F(Probes, PassOnWhatIsNotTheTokens) {
  EXPECT_ERROR(Io, "no such mechanism", fails(1, ErrorKind::Io));
  EXPECT_EQ(trials, 1);
}

// A token that is gone fails in everything: that is no word about what it can do.
TEST_F(Probes, SayNothingWhereTheSessionIsGone) {
  ASSERT_EQ(token->module().calls().C_CloseAllSessions(token->info().slot), CKR_OK);
  EXPECT_ERROR(Token, "C_GetSessionInfo", fails(2));
  EXPECT_EQ(trials, 1);
}

}  // namespace
}  // namespace qpcseal::pkcs11
