// SPDX-License-Identifier: Apache-2.0
// Programs and files that are named by their SHA-256: what was hashed is what runs, from memory.
#pragma once

#include <string>
#include <vector>

#include "confine/sandbox.h"

namespace qpcseal::confine {

struct Pin {
  std::string path;    // absolute; outside, and in the sandbox too
  std::string sha256;  // hex
};

inline constexpr std::size_t kMaxPinned = std::size_t{512} << 20;  // bytes a file

// The file's bytes as a file for a sandbox. Error{Denied} where it is another one than the pin names;
// Error{Io}.
GivenFile load_pinned(const Pin& pin, bool executable);
GivenFile load_directly(const Pin& pin, bool executable);  // not by the launcher; for launcher.cpp alone

}  // namespace qpcseal::confine
