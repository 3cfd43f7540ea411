// SPDX-License-Identifier: Apache-2.0
// A token is not believed: what it wraps, signs and says of a new key is looked at, and a key that is not as
// asked is destroyed again.
#include "tests/token/lying_token.h"

#include <gtest/gtest.h>

#include "appliance/keys/expose_mek.h"
#include "appliance/keys/kek.h"
#include "appliance/keys/recovery_key.h"
#include "appliance/keys/signing.h"
#include "appliance/keys/wrap.h"
#include "base/openssl.h"
#include "tests/base/expect_error.h"

namespace qpcseal::keys {
namespace {

using pkcs11::Object;
using pkcs11::Session;
using pkcs11::Template;
using testing::LyingToken;
using testing::TestToken;

class Lies : public ::testing::Test {
 protected:
  Mek make_mek() { return generate_mek(session, fresh, "net", 1, Bytes(kMekIdSize, 0x42), {}); }
  std::size_t objects(CK_OBJECT_CLASS type) {
    return session.find(Template().number(CKA_CLASS, type)).size();
  }
  void hide(CK_ATTRIBUTE_TYPE type) {
    lies.attribute = type;
    lies.value = LyingToken::none;
  }
  void change(CK_ATTRIBUTE_TYPE type) {
    lies.attribute = type;
    lies.value = LyingToken::changed;
  }

  std::unique_ptr<TestToken> token = TestToken::softhsm();
  Session& session = token->session();
  Session fresh{token->module(), token->info(), pkcs11::Access::ReadOnly};
  LyingToken lies{*token};
  const Bytes nonce = Bytes(32, 9);
};

TEST_F(Lies, OfAWrappedKeysSizeAreFound) {
  const Mek mek = make_mek();
  const EcPair pair = make_ec_pair(session, PeerType::P256, std::nullopt);
  const Peer peer{PeerType::P256, pair.point, Bytes(16, 1), kWrapDomain};
  lies.wrapped = LyingToken::cut;
  EXPECT_ERROR(Token, "C_WrapKey(key 'net#1'): 23 bytes, not 24",
               wrap_mek(session, mek, Suite::EcdhEcbKdf, peer, nonce));
  const KeyPtr rsa(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{3072}));
  Bytes spki(static_cast<std::size_t>(i2d_PUBKEY(rsa.get(), nullptr)));
  unsigned char* at = spki.data();
  i2d_PUBKEY(rsa.get(), &at);
  const Peer rsa_peer{PeerType::Rsa, spki, Bytes(16, 1), kWrapDomain};
  EXPECT_ERROR(Token, "C_WrapKey(key 'net#1'): another length than the RSA key's",
               wrap_mek(session, mek, Suite::OaepSha1, rsa_peer, nonce));
  lies.wrapped = {};
  EXPECT_EQ(wrap_mek(session, mek, Suite::OaepSha1, rsa_peer, nonce).pub, spki);
  EXPECT_EQ(wrap_mek(session, mek, Suite::EcdhEcbKdf, peer, nonce).encrypt.size(), 4U + 1 + 1 + 16 + 24);
}

TEST_F(Lies, OfAKeyThatWasTriedToBeExposedAreFound) {
  const Mek mek = make_mek();
  SystemRandom random;
  const std::size_t before = objects(CKO_SECRET_KEY);
  lies.wrapped = LyingToken::cut;
  EXPECT_ERROR(Token, "another length than RFC 3394 gives", (try_exposure(session, mek, random), 0));
  lies.wrapped = LyingToken::changed;
  EXPECT_ERROR(Token, "C_WrapKey: what the token wrapped does not open",
               (try_exposure(session, mek, random), 0));
  EXPECT_EQ(objects(CKO_SECRET_KEY), before) << "no trial key stays behind";
}

TEST_F(Lies, OfASignatureAreFound) {
  for (const SigningType type : {SigningType::Ed25519, SigningType::EcdsaP256}) {
    const std::string label = type == SigningType::Ed25519 ? kSealKeyLabel : kLogKeyLabel;
    generate_signing_key(session, label, type);
    SigningKey key(session, label);
    for (const auto& lie : {LyingToken::cut, LyingToken::changed}) {
      lies.signature = lie;
      EXPECT_ERROR(Token, "C_Sign(key '" + label + "'): the token gave a signature that does not verify",
                   key.sign(view("message")));
    }
    lies.signature = {};
    EXPECT_EQ(key.sign(view("message")).size(), 64U);
  }
}

TEST_F(Lies, OfAPublicPointAreFound) {
  generate_signing_key(session, kSealKeyLabel, SigningType::Ed25519);
  hide(CKA_EC_POINT);
  EXPECT_ERROR(Token, "C_GetAttributeValue(key 'qpcseal-seal'): the token gives no CKA_EC_POINT",
               SigningKey(session, kSealKeyLabel));
  EXPECT_ERROR(Token, "the token gives no CKA_EC_POINT", make_ec_pair(session, PeerType::P256, std::nullopt));
  change(CKA_EC_POINT);
  EXPECT_ERROR(Token, "the point is not on its curve", make_ec_pair(session, PeerType::P256, std::nullopt));
}

TEST_F(Lies, OfARecoveryKeysPointAreFound) {
  make_recovery_key(session, fresh);
  hide(CKA_EC_POINT);
  EXPECT_ERROR(Token, "the recovery key has no CKA_EC_POINT", find_recovery_key(session));
  change(CKA_EC_POINT);
  EXPECT_ERROR(Token, "the recovery key's point is not on its curve", find_recovery_key(session));
}

// What the token says of the new key is read by another session: each flag is of the key, or it goes.
TEST_F(Lies, LeaveNoRecoveryKeyThatIsNotAsAsked) {
  for (const CK_ATTRIBUTE_TYPE flag :
       {CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_DERIVE, CKA_SIGN}) {
    change(flag);
    EXPECT_ERROR(Token, "the recovery key was not made as asked and is destroyed again: CKA_",
                 make_recovery_key(session, fresh))
        << std::hex << flag;
    EXPECT_FALSE(has_recovery_key(session)) << std::hex << flag;
  }
  hide(CKA_SENSITIVE);
  EXPECT_ERROR(Token, "CKA_SENSITIVE is not true", make_recovery_key(session, fresh));
}

TEST_F(Lies, LeaveNoMekThatIsNotAsAsked) {
  for (const CK_ATTRIBUTE_TYPE flag : {CKA_SENSITIVE, CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP}) {
    change(flag);
    EXPECT_ERROR(Token, "key 'net#1' was not made as asked and is destroyed again: CKA_", make_mek())
        << std::hex << flag;
    lies.value = {};
    EXPECT_TRUE(list_meks(session).empty()) << std::hex << flag;
  }
}

TEST_F(Lies, OfACardAboutItsPointAreFound) {
  const Mek mek = make_mek();
  const EcPair pair = make_ec_pair(session, PeerType::P256, std::nullopt),
               larger = make_ec_pair(session, PeerType::P384, std::nullopt);
  Bytes other = pair.point;
  other.back() ^= 1;
  for (const Bytes& point : {other, larger.point, Bytes()})
    EXPECT_ERROR(
        Malformed, "the session key's point is not on its curve",
        wrap_mek(session, mek, Suite::EcdhEcbKdf, {PeerType::P256, point, Bytes(16, 1), kWrapDomain}, nonce));
}

TEST_F(Lies, OrNoneAMekThatIsNotThereIsNamed) {
  make_mek();
  for (const char* reference : {"pkcs11:object=net%232", "pkcs11:id=%01", "net#2", "other"})
    EXPECT_ERROR(Token, "MEK '" + std::string(reference) + "': no such MEK in the token",
                 find_mek(session, reference));
  EXPECT_ERROR(Token, "MEK with id 01: no such MEK in the token", find_mek_by_id(session, Bytes{1}));
}

TEST(RecoveryPair, IsOnePairOrNone) {
  const auto token = TestToken::softhsm();
  Session& session = token->session();
  Session fresh(token->module(), token->info(), pkcs11::Access::ReadOnly);
  constexpr const char* kWhy = "more or less than one pair 'qpcseal-recovery'";
  const EcPair first = make_ec_pair(session, PeerType::P256, kRecoveryKeyLabel);
  EXPECT_TRUE(find_recovery_key(session));
  const EcPair second = make_ec_pair(session, PeerType::P256, kRecoveryKeyLabel);
  EXPECT_ERROR(Token, kWhy, find_recovery_key(session));
  session.destroy(second.private_key);
  EXPECT_ERROR(Token, kWhy, find_recovery_key(session)) << "two public halves";
  session.destroy(first.public_key);
  session.destroy(second.public_key);
  EXPECT_ERROR(Token, kWhy, find_recovery_key(session)) << "a private half alone";
  EXPECT_ERROR(Token, "the token holds a recovery key already", make_recovery_key(session, fresh));
}

// A wrapped key of another form goes to no token.
TEST(RecoveryPair, OpensOnlyWhatIsAMekWrappedToOne) {
  const auto token = TestToken::softhsm();
  Session& session = token->session();
  const EcPair pair = make_ec_pair(session, PeerType::P256, std::nullopt);
  const Bytes id(kMekIdSize, 0x42);
  const Peer peer = recovery_peer(pair.point, Bytes(32, 7));
  WrappedMek good;
  good.suite = Suite::EcdhEcbKdf;
  append(good.encrypt, "QMEK\x01\x02");
  append(good.encrypt, id);
  append(good.encrypt, Bytes(24, 5));
  good.nonce = Bytes(32, 9);
  good.pub = pair.point;
  const auto open = [&](const std::function<void(WrappedMek&)>& change) {
    WrappedMek wrapped = good;
    change(wrapped);
    unwrap_mek(session, {pair.private_key, pair.point}, wrapped, peer, id, checking_template(), "key");
  };
  EXPECT_ERROR(Denied, "the wrapped key does not open", open([](WrappedMek&) {}))
      << "it is of the right form";
  const auto refused = [&](const std::function<void(WrappedMek&)>& change) {
    return testing::throws_error(ErrorKind::Malformed, "not a MEK wrapped to a recovery key",
                                 [&] { open(change); });
  };
  EXPECT_TRUE(refused([](WrappedMek& it) { it.encrypt.pop_back(); }));
  EXPECT_TRUE(refused([](WrappedMek& it) { it.encrypt.push_back(0); }));
  EXPECT_TRUE(refused([](WrappedMek& it) { it.encrypt.clear(); }));
  for (const std::size_t at : {0U, 4U, 5U, 6U})
    EXPECT_TRUE(refused([=](WrappedMek& it) { it.encrypt[at] ^= 1; })) << at;
  EXPECT_TRUE(refused([](WrappedMek& it) {
    it.suite = Suite::OaepSha1;
    it.encrypt[5] = 4;
  }));
  const EcPair larger = make_ec_pair(session, PeerType::P384, std::nullopt);
  EXPECT_TRUE(refused([&](WrappedMek& it) { it.pub = larger.point; })) << "on a curve, and not on this one";
}

}  // namespace
}  // namespace qpcseal::keys
