// SPDX-License-Identifier: Apache-2.0
// The calls that a token must serve for one wrap, and nothing else: what wrapping is measured against.
#pragma once

#include "appliance/keys/wrap.h"

namespace qpcseal::bench {

// Suites 1 and 2: C_GenerateKeyPair, C_DeriveKey (two for suite 2) and C_WrapKey; 3 and 4: C_CreateObject and
// C_WrapKey. Without context, checks or reading back.
void bare_wrap(pkcs11::Session& session, const keys::Mek& mek, keys::Suite suite, const keys::Peer& peer);

}  // namespace qpcseal::bench
