// SPDX-License-Identifier: Apache-2.0
// Finds by trying whether a token can do something.
#pragma once

#include "base/error.h"
#include "pkcs11/session.h"

namespace qpcseal::pkcs11 {

// False where `trial` throws Error{Token} twice. A single failure may be a passing fault and must not decide
// how a key is wrapped. Error{Token} where the session itself is gone; other errors pass. `trial` works on
// throw-away objects alone.
template <typename Trial>
bool probe(Session& session, Trial trial) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    try {
      trial();
      return true;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Token) throw;
    }
    session.require_alive();
  }
  return false;
}

}  // namespace qpcseal::pkcs11
