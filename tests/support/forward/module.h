// SPDX-License-Identifier: Apache-2.0
// The parts of the module's function list.
#pragma once

#include "tests/support/forward/link.h"

namespace qpcseal::forward {

void fill_tokens(CK_FUNCTION_LIST& list);  // general, slots, sessions, objects
void fill_keys(CK_FUNCTION_LIST& list);    // everything that uses or makes keys, and randomness

// Takes a handle from a reply.
inline auto into_number(CK_ULONG* out) {
  return [out](Reader& reply) { *out = reply.number(); };
}

}  // namespace qpcseal::forward
