// SPDX-License-Identifier: Apache-2.0
// The keys of a simulated card, in OpenSSL's hands: a card's own would sit in its silicon.
#pragma once

#include <filesystem>
#include <string_view>

#include "attest/session_key.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/openssl.h"

namespace qpcseal::device {

// RSA keys made here have this many bits.
inline constexpr unsigned kRsaBits = 3072;

KeyPtr make_ec_key(const char* curve);  // "P-256", "P-384"
KeyPtr make_rsa_key(unsigned bits);
KeyPtr make_session_key(attest::SessionKeyType type);

// The public half as evidence carries it. Throws Error{Malformed} for a key that is none of the three types.
attest::SessionKey session_public_key(EVP_PKEY* key);
// The public half as a COSE_Key (RFC 9052 section 7), encoded. Checks nothing: faulty evidence needs bad
// keys.
Bytes encode_cose_key(EVP_PKEY* key);

// r || s of ES384 (RFC 9053 section 2.1), 96 bytes.
Bytes sign_es384(EVP_PKEY* key, ByteView message);

// PKCS #8 PEM, mode 0600; never over an existing file.
void write_private_key(const std::filesystem::path& path, EVP_PKEY* key);
KeyPtr read_private_key(const std::filesystem::path& path);
// A seal verification key, SubjectPublicKeyInfo in PEM: Ed25519 or P-256. Throws Error{Malformed} for others.
KeyPtr parse_seal_key(ByteView pem);

}  // namespace qpcseal::device
