// SPDX-License-Identifier: Apache-2.0
// A MEK that goes from one token to another, wrapped to a recovery key (FORMAT.md section 8). It is never in
// host memory.
#pragma once

#include <optional>

#include "appliance/keys/kek.h"
#include "appliance/keys/wrap.h"
#include "pkcs11/gcm.h"

namespace qpcseal::keys {

inline constexpr const char* kRecoveryKeyLabel = "qpcseal-recovery";
inline constexpr std::string_view kBackupDomain = "qpcseal/backup/1";
inline constexpr std::size_t kCheckValueSize = 12 + 15 + 16;  // bytes: iv | ciphertext | tag

struct RecoveryKey {
  pkcs11::Object private_key;
  Bytes point;  // P-256, uncompressed
};

// A P-256 pair in the token, private, sensitive, never extractable, good for ECDH alone; what reads back
// otherwise is destroyed again. Error{Token}, also where there is one already.
RecoveryKey make_recovery_key(pkcs11::Session& session, pkcs11::Session& fresh);
std::optional<RecoveryKey> find_recovery_key(pkcs11::Session& session);
// Whether the token has the pair, or half of it.
bool has_recovery_key(pkcs11::Session& session);
// Destroys the pair, or the half that exists.
void destroy_recovery_key(pkcs11::Session& session);

// The suites (1, 2) by which this token can open a backup, found by doing it with throw-away keys; in order
// of preference.
std::vector<Suite> probe_opening(pkcs11::Session& session);

// The recipient of a backup. `header` is the digest of the backup's header, which is bound into the KEK.
Peer recovery_peer(ByteView point, ByteView header);

// The MEK inside the token as an object with these attributes. Error{Denied} where the wrapped key was not
// made for this recovery key, header and MEK; Error{Token}.
pkcs11::Object unwrap_mek(pkcs11::Session& session, const RecoveryKey& key, const WrappedMek& wrapped,
                          const Peer& peer, ByteView mek_id, pkcs11::Template attributes,
                          const std::string& name);

// A session object that may encrypt, and nothing else: to compare a check value.
pkcs11::Template checking_template(bool extractable = false);

// GCM of a fixed text, AAD naming the MEK, under a fresh IV: one encryption, to be counted. Whoever has the
// key can make it again under the IV that it carries.
Bytes make_check_value(pkcs11::Session& session, const pkcs11::Object& key, ByteView mek_id, Random& random);
// Repeats it: the same text under the same IV gives the same bytes, so it is no further encryption.
[[nodiscard]] bool check_value_holds(pkcs11::Session& session, const pkcs11::Object& key, ByteView mek_id,
                                     ByteView check_value);

}  // namespace qpcseal::keys
