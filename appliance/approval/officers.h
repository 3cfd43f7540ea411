// SPDX-License-Identifier: Apache-2.0
// The officers file: OpenSSH's allowed_signers format (ssh-keygen(1), ALLOWED SIGNERS), read strictly.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/approval/sshsig.h"
#include "base/clock.h"
#include "base/finding.h"

namespace qpcseal::approval {

inline constexpr std::size_t kMaxOfficersFile = 65536;  // bytes

struct Officer {
  // The principal: one person, one name. 1 to 128 of A-Z, a-z, 0-9 and . _ - @ +; no letters of other
  // alphabets, since two of them can look alike.
  std::string name;
  std::vector<std::string> namespaces;
  std::optional<UnixTime> valid_after, valid_before;
  SshPublicKey key;
  unsigned line = 0;
};

struct Officers {
  std::vector<Officer> list;
  Bytes digest;  // SHA-256 of the file
};

// One officer a line: `NAME namespaces="a@qpcseal,b@qpcseal"[,valid-after="..."][,valid-before="..."] KEYTYPE
// BASE64 [COMMENT]`. Refused (Error{Malformed}, with the line): several principals, patterns, cert-authority,
// a missing namespaces option, times without a 'Z' (ssh-keygen would read them in the local zone), the same
// key twice, two names that differ in case alone, and an empty file. One person may hold several keys.
Officers parse_officers(std::string_view text);

// One signature that counts.
struct Approver {
  std::string name;
  std::string fingerprint;
  std::string signature_sha256;  // of the .sig file's text, hex
};

struct Tally {
  std::vector<Approver> approvers;  // distinct people, distinct keys
  Findings findings;                // one for each signature that does not count (POL-SIGNATURE-...)
};

// How many people have a key whose signatures count in `sig_namespace`, as of `now`.
[[nodiscard]] std::size_t count_signers(const Officers& officers, std::string_view sig_namespace,
                                        UnixTime now);

// Which officers signed `message` in `sig_namespace`, as of `now`. Each signature is the text of a .sig file.
Tally tally_signatures(const Officers& officers, std::string_view sig_namespace, ByteView message,
                       const std::vector<std::string>& signatures, UnixTime now);

}  // namespace qpcseal::approval
