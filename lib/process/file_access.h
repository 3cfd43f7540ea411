// SPDX-License-Identifier: Apache-2.0
// Files that the process may reach (Landlock). A restriction holds for all threads and child processes begun
// later, and never goes away; a second one can only narrow the first.
#pragma once

#include <filesystem>
#include <vector>

namespace qpcseal::process {

// Folders with all that lies below them, and single files. What does not exist is passed over. No file can be
// executed, and no device, pipe or socket made, whatever is listed.
struct FileAccess {
  std::vector<std::filesystem::path> read;
  std::vector<std::filesystem::path> write;           // and read, make, rename, remove
  std::vector<std::filesystem::path> remove_folders;  // empty folders below may be removed
};

// The program itself, the C library's, loaders' and tokens' own files: /usr, /lib*, linker and name service
// files of /etc, time zones, /proc, /dev/null, /dev/tty, random devices.
FileAccess system_files();

// Version of the kernel's Landlock ABI; 0: none.
[[nodiscard]] int landlock_version();

// Refuses every other file from now on; with ABI 6 also signals to processes outside and their abstract
// sockets. False where the kernel has no Landlock. Error{Io}.
[[nodiscard]] bool restrict_files(const FileAccess& access);

}  // namespace qpcseal::process
