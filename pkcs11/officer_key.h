// SPDX-License-Identifier: Apache-2.0
// An officer's own key on a smart card or other PKCS #11 token, as an OpenSSL EVP_PKEY through libp11. For a
// command of its own: libp11 and pkcs11::Module must not have a module open in the same process.
#pragma once

#include <openssl/evp.h>
#include <memory>
#include <string>

#include "base/secret.h"

namespace qpcseal::pkcs11 {

// Logged in for its lifetime; C_Finalize when it ends. ECDSA keys only: libp11 0.4.12 knows no Ed25519.
class OfficerKey {
 public:
  // `module`: absolute path. `key`: its label; empty where the token holds one private EC key alone.
  // Error{Token}: no such module, token or key, several of them, or a wrong PIN (which is never tried again).
  OfficerKey(const std::string& module, const std::string& token, const std::string& key,
             const SecretBuffer& pin);
  ~OfficerKey();
  OfficerKey(const OfficerKey&) = delete;
  OfficerKey& operator=(const OfficerKey&) = delete;

  [[nodiscard]] EVP_PKEY* get() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qpcseal::pkcs11
