// SPDX-License-Identifier: Apache-2.0
// Public keys between PKCS #11's form and X.509's, and raw ECDSA signatures between r || s and DER.
#pragma once

#include <array>

#include "base/bytes.h"

namespace qpcseal::keys {

// CKA_EC_PARAMS of P-256: the DER of its OID.
inline constexpr std::array<std::uint8_t, 10> kP256Oid{0x06, 0x08, 0x2a, 0x86, 0x48,
                                                       0xce, 0x3d, 0x03, 0x01, 0x07};

// CKA_EC_POINT as tokens give it: the point itself or a DER OCTET STRING around it. Returns the point.
Bytes unwrap_ec_point(ByteView value, std::size_t point_size);

Bytes ed25519_spki(ByteView key);  // 32 bytes
Bytes p256_spki(ByteView point);   // 65 bytes, uncompressed
Bytes ecdsa_to_der(ByteView raw);  // 64 bytes, r || s (IEEE P1363)

// `signature` as SigningKey gives it: 64 bytes.
[[nodiscard]] bool verify_with_spki(ByteView spki, ByteView message, ByteView signature);

struct RsaPublic {
  Bytes modulus, exponent;  // big-endian, no leading zeros
};
// Error{Malformed} for what is no RSA SubjectPublicKeyInfo of 3072 to 4096 bits with e = 65537.
RsaPublic rsa_from_spki(ByteView spki);

// Whether the uncompressed point (SEC 1 section 2.3.3) lies on P-256 (65 bytes) or P-384 (97 bytes).
[[nodiscard]] bool on_curve(ByteView point);

}  // namespace qpcseal::keys
