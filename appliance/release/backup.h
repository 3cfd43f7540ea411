// The home in one file, to be kept elsewhere, and back. Not in it: what is secret or belongs to the machine
// of the moment: tokens/ (the embedded token's files), the PIN file, the lock, the log's snapshot, and what
// releases have under way. The file is a ustar archive whose first member, manifest.json, lists the others
// with their sizes and digests:
//
//   {"files":[{"name":"log/entries.jsonl","sha256":"<hex>","size":123},...],"log":{"root":"<hex>","size":7},
//    "software":"qpcseal 0.1.0","time":1800000000,"type":"qpcseal-home","v":1}
//
// It proves nothing by itself: what a restored home is worth, its log says, held against what witnesses saw
// when it is restored, and against the token's anchor and them when it is next used.
#pragma once

#include <optional>

#include "appliance/audit/note.h"
#include "appliance/release/appliance.h"

namespace qpcseal::release {

struct Backup {
  std::uint64_t files = 0, log_size = 0;
  std::string log_root;  // hex
};

// Under the lock, without the token. Error{LogDamaged} where the log does not verify: that is worth no
// backup.
Backup back_up(const Environment& environment, const std::filesystem::path& output, Existing existing);

struct RestoreWish {
  std::filesystem::path file;
  std::optional<audit::VerifierKey> key;  // of the log; nothing: as the log names it
  bool replace = false;                   // a home that has state already: it is moved aside
};
struct Restored {
  Backup backup;
  std::filesystem::path aside;  // where the state before is now; empty where there was none
};
// All or nothing: everything is checked before the home is touched. Error{Malformed}; Error{LogDamaged}, also
// where a witness's checkpoint that the home keeps is later than the backup's log, or of another one;
// Error{Io} where the home has state and `replace` is not set.
Restored restore(const Environment& environment, const RestoreWish& wish);

}  // namespace qpcseal::release
