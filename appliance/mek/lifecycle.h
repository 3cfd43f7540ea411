// SPDX-License-Identifier: Apache-2.0
// A MEK after it is made: suspended, resumed, destroyed, imported. Each act is logged before and after, with
// the officers' approval where the policy asks for it.
#pragma once

#include <filesystem>
#include <optional>

#include "appliance/site/appliance.h"

namespace qpcseal::mek {

// The parameters that officers approve: {"mek": label, "mek_id": hex}.
encoding::Json request_parameters(const keys::Mek& mek);

// Nothing uses the key until it is resumed. Error{Denied} for one that is not in use.
keys::Mek suspend(site::Appliance& appliance, const std::string& reference);
keys::Mek resume(site::Appliance& appliance, const std::string& reference);

// Error{Malformed} where the file names no recovery key. Returns its SHA-256, hex.
std::string recovery_key_digest(const std::filesystem::path& recovery_key);

struct Destroyed {
  keys::Mek mek;
  std::uint64_t encryptions = 0;  // under it, over its whole life
  std::uint64_t entry = 0;        // the result's: its receipt proves the end
};
// Any key that the log knows, whatever its state. Afterwards the token is searched, in another session.
// `transferee` is the file of a recovery key: only in its token does the receipt of this act make a restored
// key an transferee. Officers approve its SHA-256 too, as `transferee_recovery_key_sha256`.
Destroyed destroy(site::Appliance& appliance, const std::string& reference,
                  const std::optional<std::filesystem::path>& transferee = std::nullopt);

// A key from the vendor's tool: 16 raw bytes. Nobody knows who has a copy, or how often it was used.
struct Imported {
  keys::Mek mek;
  bool shredded = false;
  std::string shred_error;  // why not, where asked
  bool known = false;       // it was here before: only the file was shredded
  bool returned = false;    // the token had lost it: it is back with its id and history
};
// With `shred` the file is overwritten, synced and removed once the key is safely in the token. This reaches
// no copies, snapshots, journals, or what a flash drive keeps. Error{Usage} for a key that was imported
// before; with its name and `shred`, its file is shredded. One that the token lost comes back. A shredding
// that was cut short is finished by the same call, also where the file is overwritten already, or gone.
Imported import_file(site::Appliance& appliance, const std::string& name, const std::filesystem::path& file,
                     bool shred);

// What can be said of import_file() without the token; nothing of a key that was imported before.
void look_at_import(const site::Outlook& outlook, const std::string& name, const std::filesystem::path& file,
                    bool shred);

// The check value, hex (FORMAT.md section 8): officers approve it beside the name, and the log recognises the
// key by it.
std::string import_check_value(const std::filesystem::path& file);

// Error{Usage} where the log or `meks`, the token's keys, have one of this name.
void refuse_known_name(const audit::State& state, const std::vector<keys::Mek>& meks,
                       const std::string& name);
encoding::Json attribute_list(const std::vector<keys::AttributeReport>& reports);

}  // namespace qpcseal::mek
