// SPDX-License-Identifier: Apache-2.0
// How much a file system still takes.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/fd.h"

namespace qpcseal {

// Bytes that this account may still write to the file system of a folder, or of an open file; UINT64_MAX
// where it has no size of its own. Error{Io}.
std::uint64_t free_room(const std::filesystem::path& dir);
std::uint64_t free_room(const Fd& file);

}  // namespace qpcseal
