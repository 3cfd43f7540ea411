// SPDX-License-Identifier: Apache-2.0
// Key encryption keys by ECDH inside the token (FORMAT.md section 3, suites 1 and 2): the part that wrapping
// and unwrapping share.
#pragma once

#include <optional>

#include "appliance/keys/suite.h"
#include "pkcs11/session.h"

namespace qpcseal::keys {

inline constexpr std::size_t kWrappedSize = 24;  // bytes; RFC 3394 adds 8 to a 16-byte key

[[nodiscard]] std::size_t point_size(PeerType type);  // bytes, uncompressed

struct EcPair {
  pkcs11::Object private_key, public_key;
  Bytes point;
};
// A pair that can derive (CKA_DERIVE); tokens may allow more where a template says nothing, as SoftHSM does.
// Its point is checked to lie on its curve. With a label it is a token object, named by it; without, the
// session's.
EcPair make_ec_pair(pkcs11::Session& session, PeerType type, const std::optional<std::string>& label);

// An AES-256 session key that can do `use` (CKA_WRAP or CKA_UNWRAP) and nothing else. `peer` is the other
// side's point, on its curve.
pkcs11::ScopedObject derive_kek(pkcs11::Session& session, Suite suite, const pkcs11::Object& private_key,
                                ByteView peer, ByteView context, CK_ATTRIBUTE_TYPE use);

}  // namespace qpcseal::keys
