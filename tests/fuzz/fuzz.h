// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share. A reader of untrusted bytes may do two things: return, or throw
// Error{Malformed}. Anything else is a finding.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"

namespace qpcseal::fuzz {

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

inline void require(bool good, const char* what) {
  if (!good) fail(what);
}

// Runs `act`; true when it returned, false when it threw Error{Malformed}.
template <typename Act>
bool accepted(Act&& act) {
  try {
    std::forward<Act>(act)();
    return true;
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::Malformed, error.what());
    return false;
  }
}

}  // namespace qpcseal::fuzz

// Defines the entry point; `input` is a qpcseal::ByteView.
#define QPCSEAL_FUZZ_TARGET(input)                                                    \
  static void run_one(qpcseal::ByteView input);                                       \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);  \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    run_one({data, size});                                                            \
    return 0;                                                                         \
  }                                                                                   \
  static void run_one(qpcseal::ByteView input)
