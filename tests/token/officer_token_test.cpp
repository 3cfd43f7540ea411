// SPDX-License-Identifier: Apache-2.0
// An officer's token through a session of our own: which of its keys signs.
#include "appliance/keys/officer_token.h"

#include <gtest/gtest.h>

#include "appliance/keys/spki.h"
#include "tests/base/expect_error.h"
#include "tests/token/officers_token.h"

namespace qpcseal::keys {
namespace {

class OfficerTokens : public testing::OfficersToken {
 protected:
  static SigningType type_of(const std::string& key) {
    OfficerToken token(kModule, {"anna", "", {}}, key, testing::test_pin(), pkcs11::LastTry::Refuse);
    const Bytes signature = token.key().sign(view("a plan"));
    EXPECT_TRUE(verify_with_spki(token.key().spki(), view("a plan"), signature));
    return token.key().type();
  }
};

TEST_F(OfficerTokens, SignsWithItsOneEd25519Key) {
  put_key("ed", SigningType::Ed25519);
  EXPECT_EQ(type_of(""), SigningType::Ed25519);
}

TEST_F(OfficerTokens, PrefersItsOneEcdsaKey) {
  put_key("ed", SigningType::Ed25519);
  put_key("ec", SigningType::EcdsaP256);
  EXPECT_EQ(type_of(""), SigningType::EcdsaP256);
  EXPECT_EQ(type_of("ed"), SigningType::Ed25519) << "by its label";
}

TEST_F(OfficerTokens, IsAskedWhichOfSeveralKeys) {
  put_key("ed", SigningType::Ed25519);
  put_key("first", SigningType::EcdsaP256);
  put_key("second", SigningType::EcdsaP256);
  EXPECT_ERROR(Token, "the token holds several keys that could sign", type_of(""));
  EXPECT_EQ(type_of("second"), SigningType::EcdsaP256);
}

TEST_F(OfficerTokens, IsRefusedWithoutAKeyThatSigns) {
  EXPECT_ERROR(Token, "the token holds no ECDSA and no Ed25519 key", type_of(""));
  put_rsa_key();
  EXPECT_ERROR(Token, "the token holds no ECDSA and no Ed25519 key", type_of(""));
  EXPECT_ERROR(Token, "key 'rsa' is neither an Ed25519 nor an ECDSA key", type_of("rsa"));
  EXPECT_ERROR(Token, "key 'none': not in the token", type_of("none"));
}

TEST_F(OfficerTokens, HasBothHalvesOfThePair) {
  put([](pkcs11::Session& session) {
    session.destroy(generate_signing_key(session, "ed", SigningType::Ed25519).public_key);
  });
  EXPECT_ERROR(Token, "key 'ed': not in the token", type_of(""));
}

TEST_F(OfficerTokens, OpensByItsOwnPinAlone) {
  put_key("ed", SigningType::Ed25519);
  SecretBuffer wrong = testing::test_pin();
  wrong.bytes()[0] ^= 1;
  const auto open = [&](const std::string& label, const SecretBuffer& pin) {
    return OfficerToken(kModule, {label, "", {}}, "", pin, pkcs11::LastTry::Refuse).key().type();
  };
  EXPECT_ERROR(Token, "C_Login(token 'anna'): CKR_PIN_INCORRECT (0xa0)", open("anna", wrong));
  EXPECT_ERROR(Token, "token 'anna' has no PIN pad", open("anna", SecretBuffer(0)));
  EXPECT_ERROR(Token, "token 'bela' is not there; the module has: 'anna'", open("bela", testing::test_pin()));
  EXPECT_EQ(open("anna", testing::test_pin()), SigningType::Ed25519)
      << "what failed before let go of the module";
}

}  // namespace
}  // namespace qpcseal::keys
