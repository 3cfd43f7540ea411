// SPDX-License-Identifier: Apache-2.0
// Backs up the home into one file, and restores it. The file has what the log proves (vouched.h) and nothing
// else: not the token's keys, not PINs, not site.toml, which names the code that this machine loads.
#pragma once

#include <optional>

#include "appliance/site/appliance.h"
#include "appliance/site/home_archive.h"
#include "appliance/site/restored_site.h"
#include "tlog/note.h"

namespace qpcseal::site {

struct Backup {
  HomeManifest manifest;
  std::vector<std::string> left_out;  // files of the home's folders that nothing in the log vouches for
};

// Under the lock, without the token. Error{LogDamaged} where the log does not verify; Error{Denied} where a
// file that the home must have is missing or is not the one in the log.
Backup back_up(const Environment& environment, const std::filesystem::path& output, Existing existing);

// A backup whose files are all proved by its log, and complete.
struct CheckedBackup {
  HomeArchive archive;
  audit::LogCopy log;
};
// `key`: of the log; nothing: as the log names it. Writes nothing. Error{Malformed}: damage, a file that no
// backup has, one that nothing vouches for, or one that is missing; Error{LogDamaged}: the log does not
// verify.
CheckedBackup check_backup(const std::filesystem::path& file, const std::optional<tlog::VerifierKey>& key);

struct RestoreOptions {
  std::filesystem::path file;
  std::optional<tlog::VerifierKey> key;
  bool replace = false;  // a home that has state already: it is set aside
  MachineOptions machine;
};
struct Restored {
  HomeManifest manifest;
  std::filesystem::path aside;  // where the state before is now; empty where there was none
  Site site;                    // of this machine
  bool new_site = false;        // site.toml was made
  std::string module_sha256;    // of the file there, hex; empty where it cannot be read
  std::string pinned_sha256;    // of the module that the log pins, hex
};
// All or nothing: everything is checked before the home is touched (home_swap.h says how it is then). The
// machine's site.toml stays; where there is none one is made. Errors as check_backup(); Error{LogDamaged}
// where the home's log is longer than the backup's, or another one, or a witness's checkpoint that the home
// keeps is not one of it; Error{Io} where the home has state and `replace` is not set; Error{Usage} for
// options that do not fit.
Restored restore(const Environment& environment, const RestoreOptions& options);

}  // namespace qpcseal::site
