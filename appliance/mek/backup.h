// SPDX-License-Identifier: Apache-2.0
// A MEK between two tokens: backed up to a recovery key that officers approved, restored in the recovery
// key's token, or drilled there without staying.
#pragma once

#include <filesystem>

#include "appliance/keys/backup_file.h"
#include "appliance/site/appliance.h"
#include "base/file.h"

namespace qpcseal::mek {

struct RecoveryKeyMade {
  keys::RecoveryKeyFile file;
  std::string sha256;       // of the file: what the source's officers attest
  std::uint64_t entry = 0;  // the log's result that has it
};
// Makes the pair in this token and writes its public file, once the log has it. Error{Token} where the token
// has a pair already; then nothing is logged.
RecoveryKeyMade make_recovery_key(site::Appliance& appliance, const std::filesystem::path& output,
                                  Existing existing);

// The pair that the token has, as the log knows it; `entry` is left out. Error{Token} none, Error{Denied}.
RecoveryKeyMade recovery_key_in_force(site::Appliance& appliance);

struct BackupOptions {
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
BackupMade backup(site::Appliance& appliance, const BackupOptions& options);

struct MekRestoreOptions {
  std::filesystem::path backup;
  // The receipt of the source's mek-destroy: the key then also seals here, and its encryptions are counted
  // on.
  std::optional<std::filesystem::path> retirement;
};
struct RestoredMek {
  keys::Mek mek;
  keys::Origin origin = keys::Origin::Restored;
  keys::BackupHeader header;        // with the encryptions that are known here
  std::optional<std::string> lost;  // the token lost the key: its origin so far
  bool returned = false;            // lost, and this appliance's own: it goes on as before
  bool suspended = false;
};
// What can be said of restore() without the token.
void look_at_restore(const site::Outlook& outlook, const MekRestoreOptions& options);
// Error{Denied} where the backup is for another recovery key, the check value differs, the receipt is not of
// this key's destruction, or this appliance handed the key on to another; Error{Usage} where the key is here.
// A key that was suspended when it was destroyed here comes back suspended. A key that the token lost comes
// back with its history, from a backup of the same source. This appliance's own key seals on (`returned`):
// only its destruction, which the log would have, lets another appliance encrypt under it. A copy stays a
// copy.
RestoredMek restore(site::Appliance& appliance, const MekRestoreOptions& options);

inline constexpr unsigned kDrillDays = 180;  // where nobody says otherwise

struct Drilled {
  keys::BackupHeader header;
  UnixTime expires = 0;
};
// What can be said of drill() without the token.
void look_at_drill(const site::Outlook& outlook, const std::filesystem::path& backup, std::uint64_t days);
// Opens the backup in this token, compares the check value, and destroys the key. The certificate is the
// receipt of the log entry. It holds for so many days, which officers approve.
Drilled drill(site::Appliance& appliance, const std::filesystem::path& backup, std::uint64_t days,
              const std::filesystem::path& certificate, Existing existing);

// The receipt of a key's destruction at its source, whose log has this key (vkey). Error{Denied}, and as
// check_receipt().
audit::Entry verify_destruction_receipt(const std::filesystem::path& receipt, const std::string& log_key,
                                        ByteView mek_id);

// For backup and restore: the parameters that officers see.
encoding::Json request_parameters(const keys::BackupHeader& header, const std::string& sha256);

}  // namespace qpcseal::mek
