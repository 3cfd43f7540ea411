// SPDX-License-Identifier: Apache-2.0
// The one exclusive lock of an appliance, for its log and its token alike; held from before C_Initialize
// until after C_Finalize.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/file.h"

namespace qpcseal::audit {

// Holds flock(2) on the file that has the name: a lock file that was removed or replaced meanwhile is let go,
// and the one that has the name now is locked. Where the folder is the user's alone (0700) it is locked too:
// who removes the lock file of a command at work lets no second one in. The file holds the number of the
// process that locked it last, for the message to others. A file with anything else in it, a link, and what
// is no regular file is not ours: it is refused and left as it is.
class Lock {
 public:
  // Waits at most `timeout_seconds`; tells `on_wait` once who holds it. Error{Io} when the time is over, and
  // for a file that is not ours.
  Lock(const std::filesystem::path& file, unsigned timeout_seconds,
       const std::function<void(const std::string& holder)>& on_wait = {});
  Lock(Lock&&) noexcept = default;
  Lock& operator=(Lock&&) noexcept = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() = default;  // closing the descriptor lets go

 private:
  Fd fd_, folder_;
};

// For a command that only reads. Nothing where the folder may not be written to (a read-only medium, another
// user's home): nobody changes the home through it then, and what is read is checked against its signatures.
std::optional<Lock> lock_to_read(const std::filesystem::path& file, unsigned timeout_seconds,
                                 const std::function<void(const std::string& holder)>& on_wait = {});

}  // namespace qpcseal::audit
