// SPDX-License-Identifier: Apache-2.0
// What a sandbox's processes are and hold; for sandbox.cpp alone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>

namespace qpcseal::confine {

// Tasks of the whole machine.
std::uint64_t all_tasks();
// Processes in the pid namespace of process `inner`; it counts no further than one above `most`.
std::uint64_t processes_with(long inner, std::uint64_t most);
// Bytes on these file systems (st_dev) in files without a name that a process of that namespace holds open.
// A file that is mapped and closed, or on its way through a socket, is not seen; nor is one on an overlay
// whose files and folders have different st_dev.
std::uint64_t bytes_without_name(long inner, const std::set<dev_t>& file_systems);

}  // namespace qpcseal::confine
