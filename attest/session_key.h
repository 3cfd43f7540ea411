// SPDX-License-Identifier: Apache-2.0
// The card's session key, as evidence carries it in cnf (RFC 8747): a COSE_Key (RFC 9052 section 7) checked
// here, on the host, before any token sees it: a token may or may not notice a point that is not on its
// curve.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "encoding/cbor.h"

namespace qpcseal::attest {

enum class SessionKeyType { P256, P384, Rsa };
// "p256", "p384", "rsa", as in requests and policies.
std::string_view to_string(SessionKeyType type);
std::optional<SessionKeyType> session_key_type(std::string_view name);

struct SessionKey {
  SessionKeyType type = SessionKeyType::P256;
  // EC: the uncompressed point (SEC 1 section 2.3.3), 65 or 97 bytes. RSA: the SubjectPublicKeyInfo, DER.
  Bytes public_key;

  bool operator==(const SessionKey&) const = default;
};

// EC2 on P-256 or P-384 with full-size coordinates on the curve, or RSA of 3072 to 4096 bits, n odd and
// without small factors, e = 65537. No private or other members. Throws Error{Malformed}.
SessionKey parse_session_key(const cbor::Value& cose_key);
// The same from a SubjectPublicKeyInfo, DER, in the one form that OpenSSL writes (named curve, uncompressed
// point).
SessionKey parse_session_spki(ByteView der);
// The same checks on a SessionKey's own bytes, for keys from another source.
void check_session_key(const SessionKey& key);

}  // namespace qpcseal::attest
