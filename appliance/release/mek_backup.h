// A MEK from one token to another: backed up to a recovery key that the officers attested, restored where
// that key lives, and drilled there without staying.
#pragma once

#include <filesystem>

#include "appliance/release/appliance.h"
#include "appliance/release/backup_file.h"
#include "base/file.h"

namespace qpcseal::release {

struct RecoveryKeyMade {
  RecoveryKeyFile file;
  std::string sha256;  // of the file: what the source's officers attest
};
// Makes the pair in this token and writes its public file. Error{Token} where there is one.
RecoveryKeyMade make_recovery_key(Appliance& appliance, const std::filesystem::path& output,
                                  Existing existing);

struct BackupWish {
  std::string mek;
  std::filesystem::path recovery_key, output;
  Existing existing = Existing::Refuse;
};
struct BackupMade {
  keys::Mek mek;
  keys::Suite suite = keys::Suite::EcdhX963;
  std::string sha256, recovery_key_sha256;  // of the files
  std::uint64_t encryptions = 0;
};
// Error{ApprovalsMissing} where the officers did not approve this MEK to this recovery key; Error{Denied} for
// a restored MEK; Error{Token} where source and recovery token have no suite in common.
BackupMade backup(Appliance& appliance, const BackupWish& wish);

struct RestoreWish {
  std::filesystem::path backup;
  // The receipt of the source's mek-destroy: the key goes on here in its place, encryptions and all.
  std::optional<std::filesystem::path> retirement;
};
struct Restored {
  keys::Mek mek;
  keys::Origin origin = keys::Origin::Restored;
  BackupHeader header;
};
// Error{Denied} where the backup is for another recovery key, does not hold its check value, or the receipt
// is not of this key's end; Error{Usage} where the key is here.
Restored restore(Appliance& appliance, const RestoreWish& wish);

struct Drilled {
  BackupHeader header;
  UnixTime expires = 0;
};
// Opens the backup in this token, holds it against its check value, and lets it go. The certificate is the
// receipt of the log's entry.
Drilled drill(Appliance& appliance, const std::filesystem::path& backup, std::int64_t lifetime,
              const std::filesystem::path& certificate, Existing existing);

// For backup and restore alike: what of a backup the officers see.
audit::Json parameters_of(const BackupHeader& header, const std::string& sha256);

}  // namespace qpcseal::release
