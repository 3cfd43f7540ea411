// SPDX-License-Identifier: Apache-2.0
// An officer's own key on a smart card or other PKCS #11 token, as an OpenSSL EVP_PKEY through libp11. For a
// command of its own: libp11 and pkcs11::Module must not have a module open in the same process.
#pragma once

#include <openssl/evp.h>
#include <memory>
#include <string>

#include "base/secret.h"
#include "pkcs11/token_choice.h"

namespace qpcseal::pkcs11 {

// Logged in for its lifetime; C_Finalize when it ends. ECDSA keys only. libp11 0.4.12 reads no token that has
// a key of another kind than these and RSA, such as Ed25519 (keys/officer_token.h reads it).
class OfficerKey {
 public:
  // `module`: absolute path, else Error{Usage}. `key`: its label; empty where the token holds one private EC
  // key alone. Error{Token}: no such module, token or key, several of them, or a wrong PIN (which is never
  // tried again). An empty PIN: the token asks on its own pad. A key that asks for the PIN again at each
  // signature (CKA_ALWAYS_AUTHENTICATE) gets the same one. Error{Token} also by check_login().
  OfficerKey(const std::string& module, const TokenChoice& token, const std::string& key,
             const SecretBuffer& pin, LastTry last_try);
  ~OfficerKey();
  OfficerKey(const OfficerKey&) = delete;
  OfficerKey& operator=(const OfficerKey&) = delete;

  // Null where libp11 cannot read the token.
  [[nodiscard]] EVP_PKEY* get() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qpcseal::pkcs11
