// SPDX-License-Identifier: Apache-2.0
// An officer's token through libp11: which of its keys signs, and what a person is told of one that does not.
#include "pkcs11/officer_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/openssl.h"
#include "tests/base/expect_error.h"
#include "tests/token/officers_token.h"

namespace qpcseal::pkcs11 {
namespace {

using keys::SigningType;
using qpcseal::testing::test_pin;

class OfficerKeys : public qpcseal::testing::OfficersToken {
 protected:
  static std::unique_ptr<OfficerKey> open(const std::string& key = "",
                                          const TokenChoice& token = {"anna", "", {}},
                                          const SecretBuffer& pin = test_pin()) {
    return std::make_unique<OfficerKey>(kModule, token, key, pin, LastTry::Refuse);
  }
  // The hint of the refusal.
  static std::string hint(const std::string& key = "", const TokenChoice& token = {"anna", "", {}}) {
    try {
      open(key, token);
    } catch (const Error& error) {
      return error.hint();
    }
    return "nothing was refused";
  }
  static void expect_signs(EVP_PKEY* key) {
    ASSERT_NE(key, nullptr);
    const Bytes text = copy(view("a policy"));
    const DigestContextPtr sign(EVP_MD_CTX_new()), verify(EVP_MD_CTX_new());
    ASSERT_EQ(EVP_DigestSignInit(sign.get(), nullptr, EVP_sha256(), nullptr, key), 1);
    std::size_t size = 128;
    Bytes signature(size);
    ASSERT_EQ(EVP_DigestSign(sign.get(), signature.data(), &size, text.data(), text.size()), 1);
    ASSERT_EQ(EVP_DigestVerifyInit(verify.get(), nullptr, EVP_sha256(), nullptr, key), 1);
    EXPECT_EQ(EVP_DigestVerify(verify.get(), signature.data(), size, text.data(), text.size()), 1);
  }
};

TEST_F(OfficerKeys, AreTheOneEcdsaKey) {
  put_rsa_key();
  put_key("ec", SigningType::EcdsaP256);
  expect_signs(open()->get());
  expect_signs(open("ec")->get());
}

TEST_F(OfficerKeys, AreNamedWhereThereAreSeveral) {
  put_key("first", SigningType::EcdsaP256);
  put_key("second", SigningType::EcdsaP256);
  EXPECT_ERROR(Token, "the token holds several ECDSA keys of that name", open());
  EXPECT_EQ(hint(), "name one by --key");
  expect_signs(open("second")->get());
  EXPECT_ERROR(Token, "the token holds no ECDSA key labelled 'third'", open("third"));
  EXPECT_THAT(hint("third"),
              ::testing::AllOf(::testing::HasSubstr("'first'"), ::testing::HasSubstr("'second'")));
}

TEST_F(OfficerKeys, AreMissingFromATokenWithout) {
  EXPECT_ERROR(Token, "the token holds no ECDSA key", open());
  EXPECT_EQ(hint(), "make one: P-256 or P-384");
  put_rsa_key();
  EXPECT_ERROR(Token, "the token holds no ECDSA key labelled 'rsa'", open("rsa"));
  EXPECT_EQ(hint("rsa"), "RSA keys sign nothing here: make an ECDSA key, P-256 or P-384, beside them");
}

TEST_F(OfficerKeys, AreNullWhereLibp11CannotReadTheToken) {
  put_key("ed", SigningType::Ed25519);
  EXPECT_EQ(open()->get(), nullptr);
}

TEST_F(OfficerKeys, AreOfTheTokenThatWasChosen) {
  put_key("ec", SigningType::EcdsaP256);
  EXPECT_ERROR(Token, "token 'bela' is not there", open("", {"bela", "", {}}));
  EXPECT_THAT(hint("", {"bela", "", {}}), ::testing::HasSubstr("doctor --list"));
  EXPECT_ERROR(Token, "with serial ff is not there", open("", {"anna", "ff", {}}));
  EXPECT_ERROR(Token, "in slot 4096 is not there", open("", {"anna", "", 4096}));
  add_token("bela");
  EXPECT_ERROR(Token, "token: more than one", open("", {}));
  EXPECT_THAT(hint("", {}), ::testing::HasSubstr("--serial"));
}

TEST_F(OfficerKeys, OpenByTheTokensPinAlone) {
  put_key("ec", SigningType::EcdsaP256);
  SecretBuffer wrong = test_pin();
  wrong.bytes()[0] ^= 1;
  EXPECT_ERROR(Token, "login to token 'anna'", open("", {"anna", "", {}}, wrong));
  EXPECT_ERROR(Token, "token 'anna' has no PIN pad", open("", {"anna", "", {}}, SecretBuffer()));
  expect_signs(open()->get());
}

TEST_F(OfficerKeys, NeedAModuleByItsAbsolutePath) {
  const auto with = [](const std::string& module) {
    return OfficerKey(module, {}, "", test_pin(), LastTry::Refuse).get();
  };
  EXPECT_ERROR(Usage, "--module wants an absolute path", with("libsofthsm2.so"));
  EXPECT_ERROR(Usage, "--module wants an absolute path", with(""));
  EXPECT_ERROR(Token, "module /nowhere/module.so", with("/nowhere/module.so"));
}

}  // namespace
}  // namespace qpcseal::pkcs11
