// SPDX-License-Identifier: Apache-2.0
// How many processes there are; for sandbox.cpp alone.
#pragma once

#include <cstdint>

namespace qpcseal::confine {

// Tasks of the whole machine.
std::uint64_t all_tasks();
// Processes in the pid namespace of process `inner`; it counts no further than one above `most`.
std::uint64_t processes_with(long inner, std::uint64_t most);

}  // namespace qpcseal::confine
