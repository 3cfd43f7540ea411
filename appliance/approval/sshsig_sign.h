// SPDX-License-Identifier: Apache-2.0
// Makes the signature files that `ssh-keygen -Y verify` accepts (PROTOCOL.sshsig), with a key of any origin.
#pragma once

#include <functional>

#include "appliance/approval/sshsig.h"

namespace qpcseal::approval {

// The SSH wire form of an Ed25519, P-256 or P-384 key's public half. Error{Malformed} for another kind.
Bytes ssh_key_blob(EVP_PKEY* key);

// The armoured SSH signature of `message` in `sig_namespace`, checked with verify_sshsig() before it is
// given. Error{Token} where the key does not sign, or signs wrongly.
std::string sign_sshsig(EVP_PKEY* key, std::string_view sig_namespace, ByteView message);

// The same with a key that OpenSSL has the public half of alone. `sign` signs as EVP_DigestSign does: ECDSA
// as DER, over SHA-256 or, for P-384, SHA-384; Ed25519 in 64 bytes.
using SignData = std::function<Bytes(ByteView data)>;
std::string sign_sshsig(EVP_PKEY* public_half, const SignData& sign, std::string_view sig_namespace,
                        ByteView message);

}  // namespace qpcseal::approval
