// SPDX-License-Identifier: Apache-2.0
// Temporary files and folders: known by name and held by a lock.
//
// A temporary name is `.NAME.tmp-qpcseal-<12 hex digits>`, beside the final name, on the same file system.
// Its maker holds flock(2) on it from before anybody could mistake it until the maker ends, however it ends.
// So a temporary name that nobody holds is a leftover, and the next run that writes into the folder removes
// it. On a medium without flock(2) leftovers stay: nothing tells them from what another process is writing.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/fd.h"

namespace qpcseal {

struct TemporaryFile {
  std::filesystem::path name;
  Fd fd;  // holds the lock
};

[[nodiscard]] bool is_temporary_name(std::string_view name);
// Creates and locks a temporary file beside `final_name`, with `mode` where the medium has modes. Error{Io}
// names the final name.
TemporaryFile create_temporary(const std::filesystem::path& final_name, unsigned mode);
// The same for a folder (0700), for files that are to appear in `parent` or below.
TemporaryFile create_temporary_folder(const std::filesystem::path& parent);

// Removes the temporary files and folders in `dir` that nobody holds. Ignores errors: a leftover is no
// reason to refuse an act.
void remove_leftovers(const std::filesystem::path& dir) noexcept;
// The same, once for each folder of a process.
void remove_leftovers_once(const std::filesystem::path& dir) noexcept;

}  // namespace qpcseal
