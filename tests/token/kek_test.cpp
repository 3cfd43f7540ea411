// SPDX-License-Identifier: Apache-2.0
// Key encryption keys by ECDH: a token and the host come to the same key, and it does one thing.
#include "appliance/keys/kek.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "appliance/keys/spki.h"
#include "base/digest.h"
#include "tests/base/expect_error.h"
#include "tests/support/host_ecdh.h"
#include "tests/support/tokens.h"

namespace qpcseal::keys {
namespace {

using pkcs11::Object;
using pkcs11::ScopedObject;
using pkcs11::Session;
using pkcs11::Template;
using testing::agree;
using testing::require_openssl;
using testing::TestToken;
using testing::x963;

Bytes cipher(const EVP_CIPHER* kind, const Bytes& key, ByteView in, bool encrypt) {
  const Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free> context(EVP_CIPHER_CTX_new());
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  Bytes out(in.size() + 32);
  int size = 0;
  require_openssl(
      EVP_CipherInit_ex2(context.get(), kind, key.data(), nullptr, encrypt ? 1 : 0, nullptr) == 1 &&
      EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1 &&
      EVP_CipherUpdate(context.get(), out.data(), &size, in.data(), static_cast<int>(in.size())) == 1);
  out.resize(static_cast<std::size_t>(size));
  return out;
}

// The other side: a key of the host's, and what it makes of a token's point.
class HostSide {
 public:
  explicit HostSide(PeerType type)
      : type_(type),
        key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", type == PeerType::P256 ? "P-256" : "P-384")) {}
  [[nodiscard]] Bytes point() const {
    unsigned char* raw = nullptr;
    const std::size_t size = EVP_PKEY_get1_encoded_public_key(key_.get(), &raw);
    Bytes out(raw, raw + size);
    OPENSSL_free(raw);
    return out;
  }
  [[nodiscard]] Bytes kek(Suite suite, ByteView token_point, ByteView context) const {
    const KeyPtr theirs(EVP_PKEY_new());
    require_openssl(EVP_PKEY_copy_parameters(theirs.get(), key_.get()) == 1 &&
                    EVP_PKEY_set1_encoded_public_key(theirs.get(), token_point.data(), token_point.size()) ==
                        1);
    const Bytes z = agree(key_.get(), theirs.get());
    if (suite == Suite::EcdhX963)
      return x963(z, copy(context), type_ == PeerType::P256 ? "SHA256" : "SHA384");
    return cipher(EVP_aes_256_ecb(), z, sha256(context), true);
  }

 private:
  PeerType type_;
  KeyPtr key_;
};

const Bytes kValue = from_hex("000102030405060708090a0b0c0d0e0f");
const Bytes kContext = copy(view("what the wrapped key is for"));

Object put_key(Session& session) {
  Template key;
  key.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES).flag(CKA_TOKEN, false);
  key.flag(CKA_SENSITIVE, true).flag(CKA_EXTRACTABLE, true).flag(CKA_ENCRYPT, true);
  SecretBuffer value(kValue.size());
  std::copy(kValue.begin(), kValue.end(), value.bytes().begin());
  return session.create_secret(key, value, "key");
}

Bytes wrap_with(Session& session, const ScopedObject& kek) {
  const ScopedObject key(session, put_key(session));
  return session.wrap({CKM_AES_KEY_WRAP, nullptr, 0}, kek.get(), key.get());
}

void expect_host_agrees(Session& session, Suite suite, PeerType type) {
  const HostSide host(type);
  const EcPair pair = make_ec_pair(session, type, std::nullopt);
  const ScopedObject kek = derive_kek(session, suite, pair.private_key, host.point(), kContext, CKA_WRAP);
  const Bytes wrapped = wrap_with(session, kek);
  EXPECT_EQ(wrapped.size(), kWrappedSize);
  EXPECT_EQ(cipher(EVP_aes_256_wrap(), host.kek(suite, pair.point, kContext), wrapped, false), kValue);
}

std::size_t objects_of_token(Session& session) {
  return session.find(Template().flag(CKA_TOKEN, true)).size();
}

TEST(Kek, IsWhatTheHostDerivesBySuite2) {
  const auto token = TestToken::softhsm();
  expect_host_agrees(token->session(), Suite::EcdhEcbKdf, PeerType::P256);
  EXPECT_EQ(objects_of_token(token->session()), 0U);
}

TEST(Kek, IsWhatTheHostDerivesBySuite1) {
  const auto token = TestToken::nss();
  if (!token) GTEST_SKIP() << "NSS softoken is not installed";
  expect_host_agrees(token->session(), Suite::EcdhX963, PeerType::P256);
  expect_host_agrees(token->session(), Suite::EcdhX963, PeerType::P384);
}

TEST(Kek, OpensOnlyWhatWasWrappedInItsContext) {
  const auto token = TestToken::softhsm();
  Session& session = token->session();
  const EcPair ours = make_ec_pair(session, PeerType::P256, std::nullopt),
               theirs = make_ec_pair(session, PeerType::P256, std::nullopt);
  const Bytes wrapped = wrap_with(
      session, derive_kek(session, Suite::EcdhEcbKdf, ours.private_key, theirs.point, kContext, CKA_WRAP));
  const auto open = [&](ByteView context) {
    const ScopedObject kek =
        derive_kek(session, Suite::EcdhEcbKdf, theirs.private_key, ours.point, context, CKA_UNWRAP);
    Template key;
    key.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES).flag(CKA_TOKEN, false);
    key.flag(CKA_SENSITIVE, false).flag(CKA_EXTRACTABLE, true);
    const ScopedObject made(session,
                            session.unwrap({CKM_AES_KEY_WRAP, nullptr, 0}, kek.get(), wrapped, key, "key"));
    return session.attribute(made.get(), CKA_VALUE).value();
  };
  EXPECT_EQ(open(kContext), kValue);
  EXPECT_ERROR(Token, "C_UnwrapKey(key)", open(view("another context")));
}

TEST(Kek, DoesOneThingAndStaysInTheSession) {
  const auto token = TestToken::softhsm();
  Session& session = token->session();
  const EcPair pair = make_ec_pair(session, PeerType::P256, std::nullopt);
  const HostSide host(PeerType::P256);
  for (const CK_ATTRIBUTE_TYPE use : {CKA_WRAP, CKA_UNWRAP}) {
    const ScopedObject kek =
        derive_kek(session, Suite::EcdhEcbKdf, pair.private_key, host.point(), kContext, use);
    for (const CK_ATTRIBUTE_TYPE flag : {CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE})
      EXPECT_EQ(session.flag(kek.get(), flag), flag == use) << std::hex << flag;
    EXPECT_EQ(session.number(kek.get(), CKA_VALUE_LEN), 32U);
    EXPECT_EQ(session.flag(kek.get(), CKA_SENSITIVE), true);
    EXPECT_EQ(session.flag(kek.get(), CKA_EXTRACTABLE), false);
    EXPECT_EQ(session.flag(kek.get(), CKA_TOKEN), false);
    EXPECT_EQ(session.attribute(kek.get(), CKA_VALUE), std::nullopt);
    EXPECT_EQ(session.find(Template().number(CKA_CLASS, CKO_SECRET_KEY)).size(), 1U)
        << "the shared secret is destroyed again";
  }
  EXPECT_TRUE(session.find(Template().number(CKA_CLASS, CKO_SECRET_KEY)).empty());
}

// SoftHSM has no key derivation of X9.63: it must say so, and not wrap by another suite.
TEST(Kek, OfASuiteThatTheTokenLacksIsNotMade) {
  const auto token = TestToken::softhsm();
  Session& session = token->session();
  const EcPair pair = make_ec_pair(session, PeerType::P256, std::nullopt);
  const HostSide host(PeerType::P256);
  EXPECT_ERROR(Token, "C_DeriveKey(ephemeral key to KEK)",
               derive_kek(session, Suite::EcdhX963, pair.private_key, host.point(), kContext, CKA_WRAP));
}

TEST(EcPair, OfTheSessionStaysInIt) {
  const auto token = TestToken::softhsm();
  Session& session = token->session();
  for (const PeerType type : {PeerType::P256, PeerType::P384}) {
    const EcPair pair = make_ec_pair(session, type, std::nullopt);
    EXPECT_EQ(pair.point.size(), point_size(type));
    EXPECT_TRUE(on_curve(pair.point));
    EXPECT_EQ(session.flag(pair.private_key, CKA_DERIVE), true);
    EXPECT_EQ(session.flag(pair.private_key, CKA_SENSITIVE), true);
    EXPECT_EQ(session.flag(pair.private_key, CKA_EXTRACTABLE), false);
  }
  EXPECT_EQ(objects_of_token(session), 0U);
}

TEST(EcPair, WithALabelIsOfTheToken) {
  const auto token = TestToken::softhsm();
  Session& session = token->session();
  const EcPair pair = make_ec_pair(session, PeerType::P384, "recovery");
  EXPECT_EQ(pair.private_key.name, "key 'recovery'");
  pkcs11::Session other(token->module(), token->info(), pkcs11::Access::ReadOnly);
  Template wanted;
  wanted.flag(CKA_TOKEN, true).text(CKA_LABEL, "recovery").bytes(CKA_ID, view("recovery"));
  EXPECT_EQ(other.find(wanted).size(), 2U);
  EXPECT_EQ(session.flag(pair.private_key, CKA_SIGN), false);
  EXPECT_EQ(session.flag(pair.private_key, CKA_DERIVE), true);
  EXPECT_EQ(session.flag(pair.private_key, CKA_EXTRACTABLE), false);
}

TEST(PointSize, IsThatOfUncompressedPoints) {
  EXPECT_EQ(point_size(PeerType::P256), 65U);
  EXPECT_EQ(point_size(PeerType::P384), 97U);
}

}  // namespace
}  // namespace qpcseal::keys
