// SPDX-License-Identifier: Apache-2.0
// The card's cryptography (FORMAT.md sections 2 and 3): OpenSSL, written apart from the sealing side.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/secret.h"
#include "device/card/card.h"

namespace qpcseal::device {

// Plain text of iv(12) | ciphertext | tag(16) into `out` (stored.size() - 28 bytes); false where the tag is
// not right.
[[nodiscard]] bool open_gcm(ByteView key, ByteView aad, ByteView stored, MutableBytes out);
// The same where IV and tag lie elsewhere: `sealed` becomes plain in its place. `entry` = iv(12) | tag(16).
[[nodiscard]] bool open_in_place(ByteView key, ByteView aad, ByteView entry, MutableBytes sealed);

// 64 bytes: Ed25519, or ECDSA P-256 with SHA-256 as r || s, by the kind of the key.
[[nodiscard]] bool verify_seal(EVP_PKEY* key, ByteView message, ByteView signature);

// The three slots' contents.
struct Wrapped {
  Bytes encrypt, nonce, pub;
};
// The MEK, for a container under `mek_id`. Error{Denied} with the reason: a nonce that this card did not
// answer since its boot, another MEK id, another card's key, a wrap that does not open.
SecretBuffer unwrap_mek(const Card& card, const Wrapped& wrapped, ByteView mek_id);

}  // namespace qpcseal::device
