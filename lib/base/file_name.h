// SPDX-License-Identifier: Apache-2.0
// Names of files, and how a complete file gets its final one, on file systems that can and on those that
// cannot.
#pragma once

#include <filesystem>

#include "base/error.h"
#include "base/fd.h"

namespace qpcseal {

// The folder that `path` lies in; "." for a name alone.
std::filesystem::path parent_dir(const std::filesystem::path& path);
// Whether something has this name, a link that leads nowhere too. Error{Io} where that cannot be seen.
[[nodiscard]] bool is_name_taken(const std::filesystem::path& path);
// Error{Io} with code "output-exists".
Error exists_error(const std::filesystem::path& path);
// As make_folder(), whose name a power failure may still take. Whether it was made.
bool make_unsynced_folder(const std::filesystem::path& dir, unsigned mode);
// Whether an errno says that this medium has no such operation (FAT and exFAT through FUSE, network shares),
// and not that the operation failed.
[[nodiscard]] bool medium_cannot(int code);
// Error{Io} where the name cannot be given: with Existing::Refuse a name that is taken, with
// Existing::Replace a name that is not a regular file's (a link, a pipe, a device stay what they are).
void check_name(const std::filesystem::path& path, Existing existing);
// `mode` less what the user's umask takes from group and others (base/program.h).
[[nodiscard]] unsigned masked(unsigned mode);
// fchmod(2) to masked(mode), where the medium has modes. Error{Io} names `what`.
void set_mode(const Fd& fd, unsigned mode, const std::filesystem::path& what);
// Gives a complete file its final name and takes away the name `from`. With Existing::Refuse an existing `to`
// is Error{Io}, atomically: renameat2(RENAME_NOREPLACE) or link(2). A medium with neither gets a look at the
// name and rename(2), under a lock of the folder that holds off other processes of ours. Syncs nothing.
void publish(const std::filesystem::path& from, const std::filesystem::path& to, Existing existing);

}  // namespace qpcseal
