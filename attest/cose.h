// SPDX-License-Identifier: Apache-2.0
// COSE_Sign1 (RFC 9052 section 4.2), strictly, over the bytes received: nothing is ever encoded anew but the
// Sig_structure around them. ECDSA (RFC 9053 section 2.1), each algorithm with its own curve and no other,
// and RSASSA-PSS (RFC 8230) for schemes that name it; which of them a scheme takes is its profile's to say.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/openssl.h"
#include "encoding/cbor.h"

namespace qpcseal::attest {

enum class CoseAlgorithm : std::int64_t {
  Es256 = -7,
  Es384 = -35,
  Es512 = -36,
  Ps256 = -37,
  Ps384 = -38,
  Ps512 = -39
};
std::string_view to_string(CoseAlgorithm algorithm);

// What a scheme lets a message look like. Whatever is not named here is refused; `crit` (2) always is.
struct CoseProfile {
  std::vector<std::uint64_t> tags = {18};  // exactly these, from the outside in; empty: an untagged array
  cbor::Level level = cbor::Level::Deterministic;    // for the message and the protected header alike
  std::vector<CoseAlgorithm> algorithms;             // accepted
  std::vector<std::int64_t> protected_labels = {1};  // header labels allowed in the protected bucket
  std::vector<std::int64_t> unprotected_labels;      // and in the unprotected one
};

// A parsed message; all views are into the bytes given to parse_sign1.
struct Sign1 {
  ByteView protected_header, payload, signature;
  CoseAlgorithm algorithm = CoseAlgorithm::Es384;
  std::optional<std::uint64_t> content_type;  // header 3 (RFC 9052 section 3.1), where it is an integer
  std::vector<ByteView> x5chain;              // header 33 (RFC 9360), DER, leaf first; protected bucket only
};

// Throws Error{Malformed} that names the part at fault. Says nothing about the signature.
Sign1 parse_sign1(ByteView message, const CoseProfile& profile);

// The bytes that are signed (RFC 9052 section 4.4).
Bytes sig_structure(const Sign1& message, ByteView external_aad = {});

// False unless the key is of the algorithm's curve (for PS256 to PS512: RSA from 2048 bits), the signature
// has the full size and it verifies.
[[nodiscard]] bool verify_sign1(const Sign1& message, EVP_PKEY* key, ByteView external_aad = {});

}  // namespace qpcseal::attest
