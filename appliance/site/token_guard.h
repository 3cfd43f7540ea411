// SPDX-License-Identifier: Apache-2.0
// The guard of the embedded token's files.
//
// SoftHSM cuts token.object to nothing and writes it anew at every login, syncs nothing, and does not report
// a write that failed. A kill or a full disk at that moment would cost all keys. The guard keeps a copy of
// each object file in the home's tokens.guard/ and puts it back.
//
//   TokenGuard guard(home);    under the appliance's lock
//   guard.prepare();           before C_Initialize: puts back, copies what is new, both synced
//   guard.check_login();       after C_Login
//   guard.before_destroy();    before C_DestroyObject of a key in the token
//   guard.keep();              after each change, before anybody relies on it; look_after() where an act
//   failed
//
// Invariants:
// - An object file that is empty, torn or missing is put back from its copy before the token is used.
// - A key that was destroyed does not come back. From before_destroy() on a mark on disk says that a missing
//   object may have been destroyed; while it is there, none is put back. keep() removes the copies of what is
//   gone, and then the mark.
// - After keep() the token's files and their copies are whole and on disk.
// - Data objects (the log's anchor) have no copy: each append of the log writes one anew. They are synced.
//
// Errors: Error{Token} names a file that is torn and has no copy, or that keep() had to put back: the change
// did not reach the disk. Error{Io} where a copy cannot be written.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "appliance/site/home.h"
#include "base/bytes.h"
#include "encoding/json.h"

namespace qpcseal::site {

class TokenGuard {
 public:
  explicit TokenGuard(const Home& home);

  void prepare();
  void check_login();
  void before_destroy();
  void keep();
  // As keep(), as far as it goes: an object that a failed act left torn is known from here on, and no error.
  void look_after() noexcept;

  // What was put back since the log was last told, as the data of its event `token-restored`: {"count",
  // "files": [{"name", "was", "bytes", "sha256"}, ...]}, at most 64 of them. Null for nothing. It is on disk
  // before a file is put back, so that a kill does not lose it.
  [[nodiscard]] encoding::Json restored() const;
  void forget_restored();  // the log has it

 private:
  using Name = std::filesystem::path;  // of an object file, below tokens/
  struct Stamp {
    std::uint64_t inode = 0, size = 0;
    std::int64_t changed = 0;  // ns
    bool operator==(const Stamp&) const = default;
  };
  struct Changed {
    std::vector<Name> names;
    std::string torn;  // a message; empty for none
  };

  [[nodiscard]] std::vector<Name> objects_in(const std::filesystem::path& dir) const;
  [[nodiscard]] std::string find_fault(const Name& name) const;
  void put_back(const std::vector<Name>& names);
  void drop_copies();
  void mend_rest();
  void copy_new(const std::vector<Name>& names);
  Changed sync_changed();

  std::filesystem::path tokens_, copies_;
  std::map<Name, Stamp> seen_;  // files that this process synced, or found torn
};

}  // namespace qpcseal::site
