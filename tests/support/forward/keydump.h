// SPDX-License-Identifier: Apache-2.0
// Learns the value of a secret key on the token's side of the line, with the key's attributes left as they
// are: an extractable key is wrapped by a key that this process chose, and unwrapped here.
#pragma once

#include <p11-kit/pkcs11.h>

#include <string>

#include "tests/support/forward/wire.h"

namespace qpcseal::forward {

struct KnownKey {
  std::string label;
  std::optional<Bytes> value;  // nothing where the token does not give the key away
};

// One secret key, by its handle, seen by a session of the server's own on that slot. Throws
// std::runtime_error naming the call that failed.
KnownKey known_key(CK_FUNCTION_LIST& module, CK_SLOT_ID slot, CK_OBJECT_HANDLE key);

// A "hex label" line, the form that memscan reads; a key without a value becomes a comment.
std::string to_line(const KnownKey& key);

}  // namespace qpcseal::forward
