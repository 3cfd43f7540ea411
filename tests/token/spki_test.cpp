// SPDX-License-Identifier: Apache-2.0
// Public keys between a token's form and X.509's: which are taken, at their borders. No token is needed.
#include "appliance/keys/spki.h"

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "base/digest.h"
#include "base/openssl.h"
#include "tests/base/expect_error.h"
#include "tests/support/host_ecdh.h"

namespace qpcseal::keys {
namespace {

using qpcseal::testing::require_openssl;

Bytes spki_of_key(const KeyPtr& key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key.get(), &der);
  require_openssl(size > 0);
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

KeyPtr ec_key(const char* curve) { return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve)); }

Bytes point_of_key(const KeyPtr& key) {
  unsigned char* raw = nullptr;
  const std::size_t size = EVP_PKEY_get1_encoded_public_key(key.get(), &raw);
  Bytes out(raw, raw + size);
  OPENSSL_free(raw);
  return out;
}

// An RSA key of so many bits that nobody has: a modulus and an exponent.
Bytes rsa_spki(unsigned bits, unsigned long exponent) {
  const NumberPtr n(BN_new()), e(BN_new());
  require_openssl(BN_set_bit(n.get(), static_cast<int>(bits) - 1) == 1 && BN_set_bit(n.get(), 0) == 1 &&
                  BN_set_word(e.get(), exponent) == 1);
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  require_openssl(OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
                  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) == 1);
  const ParamsPtr params(OSSL_PARAM_BLD_to_param(builder.get()));
  const KeyContextPtr context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  require_openssl(EVP_PKEY_fromdata_init(context.get()) == 1 &&
                  EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) == 1);
  return spki_of_key(KeyPtr(key));
}

TEST(RsaSpki, HasFrom3072To4096BitsAndOneExponent) {
  for (const unsigned bits : {3072U, 3073U, 4096U}) {
    const RsaPublic key = rsa_from_spki(rsa_spki(bits, 65537));
    EXPECT_EQ(key.modulus.size(), (bits + 7) / 8);
    EXPECT_NE(key.modulus.front(), 0U);
    EXPECT_EQ(key.exponent, (Bytes{1, 0, 1}));
  }
  constexpr const char* kWhy = "an RSA session key has 3072 to 4096 bits and the exponent 65537";
  for (const unsigned bits : {2048U, 3071U, 4097U})
    EXPECT_ERROR(Malformed, kWhy, rsa_from_spki(rsa_spki(bits, 65537)));
  for (const unsigned long exponent : {3UL, 65539UL})
    EXPECT_ERROR(Malformed, kWhy, rsa_from_spki(rsa_spki(3072, exponent))) << exponent;
}

TEST(RsaSpki, IsWholeAndOfAnRsaKey) {
  const Bytes good = rsa_spki(3072, 65537);
  EXPECT_ERROR(Malformed, "not a SubjectPublicKeyInfo", rsa_from_spki({}));
  EXPECT_ERROR(Malformed, "not a SubjectPublicKeyInfo", rsa_from_spki(ByteView(good).first(good.size() - 1)));
  Bytes more = good;
  more.push_back(0);
  EXPECT_ERROR(Malformed, "not a SubjectPublicKeyInfo", rsa_from_spki(more));
  EXPECT_ERROR(Malformed, "not an RSA public key", rsa_from_spki(spki_of_key(ec_key("P-256"))));
}

TEST(TokenPoint, IsBareOrInAnOctetString) {
  for (const auto& [size, head] : {std::pair<std::size_t, Bytes>{32, {0x04, 32}},
                                   {65, {0x04, 65}},
                                   {97, {0x04, 97}},
                                   {133, {0x04, 0x81, 133}}}) {
    const Bytes point(size, 0x04);
    Bytes wrapped = head;
    append(wrapped, point);
    EXPECT_EQ(unwrap_ec_point(point, size), point);
    EXPECT_EQ(unwrap_ec_point(wrapped, size), point);
    Bytes bad = wrapped;
    bad.front() = 0x03;
    EXPECT_ERROR(Token, "CKA_EC_POINT has " + std::to_string(bad.size()) + " bytes",
                 unwrap_ec_point(bad, size));
    bad = wrapped;
    bad[head.size() - 1] += 1;
    EXPECT_ERROR(Token, "not a point of this curve", unwrap_ec_point(bad, size));
    bad = wrapped;
    bad.push_back(0);
    EXPECT_ERROR(Token, "not a point of this curve", unwrap_ec_point(bad, size));
    EXPECT_ERROR(Token, "not a point of this curve", unwrap_ec_point(ByteView(point).first(size - 1), size));
  }
}

TEST(Points, OfP256AndP384AreOnTheirCurve) {
  for (const char* curve : {"P-256", "P-384"}) {
    const Bytes point = point_of_key(ec_key(curve));
    EXPECT_TRUE(on_curve(point)) << curve;
    Bytes bad = point;
    bad.back() ^= 1;
    EXPECT_FALSE(on_curve(bad)) << "another y";
    bad = point;
    bad.front() = static_cast<std::uint8_t>(0x06 | (bad.back() & 1));  // hybrid, which OpenSSL reads
    EXPECT_FALSE(on_curve(bad));
    EXPECT_FALSE(on_curve(ByteView(point).first(point.size() - 1)));
  }
  EXPECT_FALSE(on_curve(point_of_key(ec_key("P-521"))));
  EXPECT_FALSE(on_curve({}));
  EXPECT_FALSE(on_curve(Bytes{0})) << "infinity";
  EXPECT_FALSE(on_curve(Bytes(65, 0)));
}

TEST(Spki, OfATokensPointIsTheOneOfX509) {
  const KeyPtr key = ec_key("P-256");
  EXPECT_EQ(p256_spki(point_of_key(key)), spki_of_key(key));
  const KeyPtr ed25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  Bytes raw(32);
  std::size_t size = raw.size();
  require_openssl(EVP_PKEY_get_raw_public_key(ed25519.get(), raw.data(), &size) == 1);
  EXPECT_EQ(ed25519_spki(raw), spki_of_key(ed25519));
}

// r and s are numbers: the shortest form, with a zero before a set bit.
TEST(EcdsaSignature, HasTwoNumbersOf32Bytes) {
  Bytes raw(64, 0);
  raw[31] = 1;
  raw[32] = 0x80;
  Bytes der = from_hex(
      "3026"
      "020101"
      "022100"
      "80");
  append(der, Bytes(31, 0));
  EXPECT_EQ(ecdsa_to_der(raw), der);
  for (const std::size_t bad : {0U, 63U, 65U})
    EXPECT_ERROR(Token, "an ECDSA P-256 signature has 64 bytes", ecdsa_to_der(Bytes(bad, 1))) << bad;
}

TEST(Verification, IsOfKeyMessageAndSignature) {
  const KeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  const Bytes spki = spki_of_key(key), message = copy(view("message"));
  const DigestContextPtr context(EVP_MD_CTX_new());
  Bytes signature(64);
  std::size_t size = signature.size();
  require_openssl(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
                  EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) ==
                      1);
  EXPECT_TRUE(verify_with_spki(spki, message, signature));
  EXPECT_FALSE(verify_with_spki(spki, view("messagf"), signature));
  EXPECT_FALSE(verify_with_spki(spki_of_key(ec_key("P-256")), message, signature));
  EXPECT_FALSE(verify_with_spki(rsa_spki(3072, 65537), message, signature));
  EXPECT_FALSE(verify_with_spki(spki, message, ByteView(signature).first(63)));
  Bytes bad = signature;
  bad[0] ^= 1;
  EXPECT_FALSE(verify_with_spki(spki, message, bad));
  EXPECT_ERROR(Malformed, "not a SubjectPublicKeyInfo", verify_with_spki(message, message, signature));
}

}  // namespace
}  // namespace qpcseal::keys
