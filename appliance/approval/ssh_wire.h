// SPDX-License-Identifier: Apache-2.0
// The SSH wire encoding (RFC 4251 section 5) of public keys (RFC 4253, 5656, 8709, and OpenSSH's
// PROTOCOL.u2f).
#pragma once

#include <openssl/evp.h>
#include <memory>
#include <string>

#include "base/bytes.h"

namespace qpcseal::approval {

struct EvpKeyFree {
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
using EvpKey = std::unique_ptr<EVP_PKEY, EvpKeyFree>;

// Reads strings (u32be length, then the bytes) from the front of a view. Throws Error{Malformed}.
class SshReader {
 public:
  SshReader(ByteView bytes, std::string_view name) : reader_(bytes, name) {}
  ByteView string() { return reader_.take(static_cast<std::size_t>(reader_.be(4))); }
  std::string text() { return std::string(text_view(string())); }
  std::uint8_t byte() { return reader_.take(1)[0]; }
  std::uint32_t u32() { return static_cast<std::uint32_t>(reader_.be(4)); }
  ByteView take(std::size_t size) { return reader_.take(size); }
  void expect_end() const { reader_.expect_end(); }

 private:
  ByteReader reader_;
};

void append_ssh_string(Bytes& out, ByteView bytes);

// A public key of one of the kinds that may approve: ssh-ed25519, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384,
// sk-ssh-ed25519@openssh.com, sk-ecdsa-sha2-nistp256@openssh.com.
struct SshPublicKey {
  std::string type;
  std::string application;  // sk- keys only
  Bytes blob;               // as on the wire: the identity of the key
  EvpKey key;
  [[nodiscard]] bool is_security_key() const { return type.starts_with("sk-"); }
};

// Throws Error{Malformed}: another kind (RSA, DSA, certificates), bytes left over, a point off its curve.
SshPublicKey parse_ssh_key(ByteView blob);
// "SHA256:<base64 without padding>", as ssh-keygen -l prints it.
std::string ssh_fingerprint(ByteView blob);

}  // namespace qpcseal::approval
