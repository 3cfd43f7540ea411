// SPDX-License-Identifier: Apache-2.0
// Makes the signature files that `ssh-keygen -Y verify` accepts (PROTOCOL.sshsig), with a key of any origin.
#pragma once

#include "appliance/approval/sshsig.h"

namespace qpcseal::approval {

// The SSH wire form of an Ed25519, P-256 or P-384 key's public half. Error{Malformed} for another kind.
Bytes ssh_key_blob(EVP_PKEY* key);

// The armoured SSH signature of `message` in `name_space`, checked with verify_sshsig() before it is given.
// Error{Token} where the key does not sign, or signs wrongly.
std::string sign_sshsig(EVP_PKEY* key, std::string_view sig_namespace, ByteView message);

}  // namespace qpcseal::approval
