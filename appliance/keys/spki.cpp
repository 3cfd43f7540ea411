// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/spki.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <array>
#include <memory>

#include "base/error.h"
#include "base/openssl.h"

namespace qpcseal::keys {

namespace {

constexpr std::size_t kHalf = 32;  // bytes of r and of s
constexpr std::array<std::uint8_t, 12> kEd25519Prefix{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                                      0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
// SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING of 65 bytes } (RFC 5480 section 2)
constexpr std::array<std::uint8_t, 26> kP256Prefix{0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                                   0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                                   0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
constexpr std::uint8_t kOctetString = 0x04, kUncompressed = 0x04;

KeyPtr parse_spki(ByteView spki) {
  const unsigned char* at = spki.data();
  KeyPtr key(d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size())));
  if (!key || at != spki.data() + spki.size())
    throw Error(ErrorKind::Malformed, "not a SubjectPublicKeyInfo");
  return key;
}

Bytes prefixed(ByteView prefix, ByteView key) {
  Bytes out = copy(prefix);
  append(out, key);
  return out;
}

Bytes number_of(const EVP_PKEY* key, const char* name) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) throw Error(ErrorKind::Malformed, "not an RSA public key");
  const NumberPtr number(raw);
  Bytes out(static_cast<std::size_t>(BN_num_bytes(number.get())));
  BN_bn2bin(number.get(), out.data());
  return out;
}

}  // namespace

Bytes unwrap_ec_point(ByteView value, std::size_t point_size) {
  if (value.size() == point_size) return copy(value);
  // DER: tag, length in one byte up to 127, in two (0x81) above.
  const std::size_t head = point_size < 128 ? 2 : 3;
  if (value.size() == point_size + head && value[0] == kOctetString && value[head - 1] == point_size)
    return copy(value.subspan(head));
  throw Error(ErrorKind::Token,
              "CKA_EC_POINT has " + std::to_string(value.size()) + " bytes, not a point of this curve");
}

Bytes ed25519_spki(ByteView key) { return prefixed(kEd25519Prefix, key); }
Bytes p256_spki(ByteView point) { return prefixed(kP256Prefix, point); }

Bytes ecdsa_to_der(ByteView raw) {
  if (raw.size() != 2 * kHalf) throw Error(ErrorKind::Token, "an ECDSA P-256 signature has 64 bytes");
  const EcdsaSignaturePtr signature(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(raw.data(), kHalf, nullptr);
  BIGNUM* s = BN_bin2bn(raw.data() + kHalf, kHalf, nullptr);
  if (!signature || ECDSA_SIG_set0(signature.get(), r, s) != 1)
    throw Error(ErrorKind::Internal, "ECDSA_SIG_set0 failed");
  Bytes out(static_cast<std::size_t>(i2d_ECDSA_SIG(signature.get(), nullptr)));
  unsigned char* at = out.data();
  i2d_ECDSA_SIG(signature.get(), &at);
  return out;
}

bool verify_with_spki(ByteView spki, ByteView message, ByteView signature) {
  const KeyPtr key = parse_spki(spki);
  const bool ecdsa = EVP_PKEY_is_a(key.get(), "EC") == 1;
  const Bytes encoded = ecdsa ? ecdsa_to_der(signature) : copy(signature);
  const DigestContextPtr context(EVP_MD_CTX_new());
  return context &&
         EVP_DigestVerifyInit(context.get(), nullptr, ecdsa ? EVP_sha256() : nullptr, nullptr, key.get()) ==
             1 &&
         EVP_DigestVerify(context.get(), encoded.data(), encoded.size(), message.data(), message.size()) == 1;
}

RsaPublic rsa_from_spki(ByteView spki) {
  const KeyPtr key = parse_spki(spki);
  if (EVP_PKEY_is_a(key.get(), "RSA") != 1) throw Error(ErrorKind::Malformed, "not an RSA public key");
  RsaPublic out{number_of(key.get(), OSSL_PKEY_PARAM_RSA_N), number_of(key.get(), OSSL_PKEY_PARAM_RSA_E)};
  const int bits = EVP_PKEY_get_bits(key.get());
  if (bits < 3072 || bits > 4096 || out.exponent != Bytes{1, 0, 1})
    throw Error(ErrorKind::Malformed, "an RSA session key has 3072 to 4096 bits and the exponent 65537");
  return out;
}

bool on_curve(ByteView point) {
  const int curve = point.size() == 65   ? NID_X9_62_prime256v1
                    : point.size() == 97 ? NID_secp384r1
                                         : NID_undef;
  if (curve == NID_undef || point[0] != kUncompressed) return false;
  const Owned<EC_GROUP, EC_GROUP_free> group(EC_GROUP_new_by_curve_name(curve));
  const Owned<EC_POINT, EC_POINT_free> parsed(group ? EC_POINT_new(group.get()) : nullptr);
  // oct2point refuses what does not satisfy the curve's equation.
  return parsed && EC_POINT_oct2point(group.get(), parsed.get(), point.data(), point.size(), nullptr) == 1 &&
         EC_POINT_is_at_infinity(group.get(), parsed.get()) == 0;
}

}  // namespace qpcseal::keys
