// SPDX-License-Identifier: Apache-2.0
// Wrapping a MEK to a card's session key, inside the token (FORMAT.md section 3).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/keys/mek.h"
#include "appliance/keys/suite.h"

namespace qpcseal::keys {

inline constexpr std::string_view kWrapDomain = "qpcseal/wrap/1";

// To whom a key is wrapped: a card's session key, from verified evidence, or a recovery token's key
// (backup.h).
struct Peer {
  PeerType type = PeerType::P256;
  Bytes public_key;                       // EC: uncompressed point, 65 or 97 bytes; RSA: SubjectPublicKeyInfo
  Bytes ueid;                             // 7 to 33 bytes
  std::string_view domain = kWrapDomain;  // begins the context: what the wrapped key is for
};

// The contents of the three slots.
struct WrappedMek {
  Suite suite = Suite::EcdhX963;
  Bytes encrypt;  // "QMEK" | 1 | suite | MEK id | wrapped key
  Bytes nonce;
  Bytes pub;  // ephemeral point, or the session key's SubjectPublicKeyInfo
};

// All inside the token; ephemeral, Z and KEK are session objects that are destroyed again. The peer's point
// is checked on the host. Error{Malformed} for a bad peer key, Error{Token} where the token cannot; nothing
// falls back.
WrappedMek wrap_mek(pkcs11::Session& session, const Mek& mek, Suite suite, const Peer& peer, ByteView nonce);

// FORMAT.md section 3; `ephemeral` is empty for RSA.
Bytes wrap_context(Suite suite, ByteView mek_id, ByteView nonce, ByteView ephemeral, const Peer& peer);

// Which suites this token serves, by wrapping a throw-away key to fixed public keys.
struct SuiteAbility {
  Suite suite;
  PeerType type;
};
std::vector<SuiteAbility> probe_suites(pkcs11::Session& session);

}  // namespace qpcseal::keys
