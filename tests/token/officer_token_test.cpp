// SPDX-License-Identifier: Apache-2.0
// An officer's token through a session of our own: which of its keys signs.
#include "appliance/keys/officer_token.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>

#include "appliance/keys/spki.h"
#include "tests/base/expect_error.h"
#include "tests/support/tokens.h"

namespace qpcseal::keys {
namespace {

constexpr const char* kModule = "/usr/lib/softhsm/libsofthsm2.so";

// A token on disk. OfficerToken initializes the module, so that no other may have it open by then.
class OfficersToken : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder;

  void SetUp() override {
    std::filesystem::create_directory(folder.path() / "tokens");
    const std::string conf = folder.path() / "softhsm2.conf";
    std::ofstream(conf) << "directories.tokendir = " << (folder.path() / "tokens").string()
                        << "\nlog.level = ERROR\n";
    setenv("SOFTHSM2_CONF", conf.c_str(), 1);
    pkcs11::init_token(kModule, "anna", view(testing::kTestPin));
  }
  static void put(const std::function<void(pkcs11::Session&)>& act) {
    const pkcs11::Module module(kModule, pkcs11::Module::digest_of(kModule), "");
    pkcs11::Session session(module, pkcs11::find_token(module, {"anna", "", {}}), pkcs11::Access::ReadWrite);
    session.login(testing::test_pin());
    act(session);
  }
  static void put_key(const std::string& label, SigningType type) {
    put([&](pkcs11::Session& session) { generate_signing_key(session, label, type); });
  }
  static SigningType type_of(const std::string& key) {
    OfficerToken token(kModule, {"anna", "", {}}, key, testing::test_pin(), pkcs11::LastTry::Refuse);
    const Bytes signature = token.key().sign(view("a plan"));
    EXPECT_TRUE(verify_with_spki(token.key().spki(), view("a plan"), signature));
    return token.key().type();
  }
};

TEST_F(OfficersToken, SignsWithItsOneEd25519Key) {
  put_key("ed", SigningType::Ed25519);
  EXPECT_EQ(type_of(""), SigningType::Ed25519);
}

TEST_F(OfficersToken, PrefersItsOneEcdsaKey) {
  put_key("ed", SigningType::Ed25519);
  put_key("ec", SigningType::EcdsaP256);
  EXPECT_EQ(type_of(""), SigningType::EcdsaP256);
  EXPECT_EQ(type_of("ed"), SigningType::Ed25519) << "by its label";
}

TEST_F(OfficersToken, IsAskedWhichOfSeveralKeys) {
  put_key("ed", SigningType::Ed25519);
  put_key("first", SigningType::EcdsaP256);
  put_key("second", SigningType::EcdsaP256);
  EXPECT_ERROR(Token, "the token holds several keys that could sign", type_of(""));
  EXPECT_EQ(type_of("second"), SigningType::EcdsaP256);
}

TEST_F(OfficersToken, IsRefusedWithoutAKeyThatSigns) {
  EXPECT_ERROR(Token, "the token holds no ECDSA and no Ed25519 key", type_of(""));
  put([](pkcs11::Session& session) {
    pkcs11::Template publics, privates;
    publics.flag(CKA_TOKEN, true).number(CKA_MODULUS_BITS, 1024).text(CKA_LABEL, "rsa");
    privates.flag(CKA_TOKEN, true).text(CKA_LABEL, "rsa");
    session.generate_pair({CKM_RSA_PKCS_KEY_PAIR_GEN, nullptr, 0}, publics, privates, "rsa");
  });
  EXPECT_ERROR(Token, "the token holds no ECDSA and no Ed25519 key", type_of(""));
  EXPECT_ERROR(Token, "key 'rsa' is neither an Ed25519 nor an ECDSA key", type_of("rsa"));
  EXPECT_ERROR(Token, "key 'none': not in the token", type_of("none"));
}

TEST_F(OfficersToken, HasBothHalvesOfThePair) {
  put([](pkcs11::Session& session) {
    session.destroy(generate_signing_key(session, "ed", SigningType::Ed25519).public_key);
  });
  EXPECT_ERROR(Token, "key 'ed': not in the token", type_of(""));
}

TEST_F(OfficersToken, OpensByItsOwnPinAlone) {
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
