// SPDX-License-Identifier: Apache-2.0
// Recovery keys and backups as files (FORMAT.md section 8): deterministic CBOR.
#pragma once

#include <string>
#include <vector>

#include "appliance/audit/state.h"
#include "appliance/keys/recovery_key.h"
#include "base/clock.h"
#include "base/digest.h"

namespace qpcseal::keys {

inline constexpr std::size_t kMaxRecoveryKeyFile = 4096, kMaxBackupFile = 65536;  // bytes

using audit::kTransfereeKey;

// The public key of a recovery token, which the officers of a source approve, and the suites by which that
// token opens backups.
struct RecoveryKeyFile {
  Bytes point;                      // P-256, uncompressed
  std::vector<keys::Suite> suites;  // in order of preference
  std::string token_serial, token_model;
  Bytes aud;  // the recovery appliance, 16 bytes
  std::string appliance_id;
  UnixTime created = 0;
};
Bytes encode(const RecoveryKeyFile& file);
// Error{Malformed}, also for a point that is not on its curve.
RecoveryKeyFile parse_recovery_key(ByteView bytes);
// What the log has of the pair with this public point: SHA-256 of its public file (hex), and the file
// (base64). Null: nothing.
const std::pair<const std::string, std::string>* known_recovery_key(const audit::State& state,
                                                                    const Bytes& point);

struct BackupHeader {
  Bytes aud;  // the source appliance
  std::string appliance_id, token_serial;
  Bytes mek_id;
  std::string name;
  std::uint64_t generation = 0;
  UnixTime created = 0;                // of the backup
  std::uint64_t encryptions = 0;       // under the MEK so far, the check value among them
  Bytes check_value, seal_key;         // the source's seal key, SubjectPublicKeyInfo
  std::string log_key, checkpoint;     // the source's log: vkey, signed note
  Bytes recovery_point, recovery_key;  // to whom: point, SHA-256 of the key's file
  keys::Suite suite = keys::Suite::EcdhX963;
  Bytes nonce;                 // 32 bytes
  UnixTime exposed_since = 0;  // since when the vendor's tool may know it, by the source's log; 0: never
};
struct MekBackup {
  BackupHeader header;
  Bytes header_bytes;
  keys::WrappedMek wrapped;
  Bytes signature;  // 64 bytes, by the source's seal key
};
Bytes encode_header(const BackupHeader& header);
// What the source's seal key signs.
Bytes signed_text(ByteView header, const keys::WrappedMek& wrapped);
Bytes encode(const MekBackup& backup);
// Error{Malformed}; Error{Denied} where the signature by the seal key that the header names does not hold.
// Officers decide whether that key is a trusted source.
MekBackup parse_backup(ByteView bytes);

}  // namespace qpcseal::keys
