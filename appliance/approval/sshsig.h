// SPDX-License-Identifier: Apache-2.0
// OpenSSH signatures over files (PROTOCOL.sshsig), as `ssh-keygen -Y sign` makes them, verified in process.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "appliance/approval/ssh_wire.h"
#include "base/bytes.h"

namespace qpcseal::approval {

inline constexpr std::size_t kMaxSshsig = 16384;  // bytes, with armour

struct SshSignature {
  SshPublicKey key;
  std::string sig_namespace;
  Bytes signature;  // wire form: type, blob, and for sk- keys flags and counter
};

// Throws Error{Malformed}: another version, a hash other than sha512, a key or signature kind not in
// ssh_wire.h, a non-empty reserved field, text outside the armour, or anything left over.
SshSignature parse_sshsig(std::string_view armoured);

// Whether `signature` is one of `sig_namespace` over `message`, made with the key inside it. A security key
// must have seen its owner (user presence). The caller checks who owns the key.
[[nodiscard]] bool verify_sshsig(const SshSignature& signature, std::string_view sig_namespace,
                                 ByteView message);

// What is signed: "SSHSIG" || string namespace || string "" || string "sha512" || string SHA-512(message).
Bytes sshsig_signed_data(std::string_view sig_namespace, ByteView message);
// The armoured file for a signature made elsewhere over sshsig_signed_data().
std::string armour_sshsig(ByteView key_blob, std::string_view sig_namespace, ByteView wire_signature);

}  // namespace qpcseal::approval
