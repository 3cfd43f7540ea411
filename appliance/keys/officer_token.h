// SPDX-License-Identifier: Apache-2.0
// An officer's token that libp11 cannot read, because it holds a key of a kind that libp11 does not know: the
// same through a session of our own. No libp11 (pkcs11/officer_key.h) may be there at the same time.
#pragma once

#include <optional>
#include <string>

#include "appliance/keys/signing.h"
#include "pkcs11/token_choice.h"

namespace qpcseal::keys {

class OfficerToken {
 public:
  // `key`: its label; empty: the one ECDSA key, or the one Ed25519 key where the token has no ECDSA key. Both
  // halves of the pair have that label. Error{Token}; a wrong PIN is never tried again.
  OfficerToken(const std::string& module, const pkcs11::TokenChoice& token, const std::string& key,
               const SecretBuffer& pin, pkcs11::LastTry last_try);

  [[nodiscard]] SigningKey& key() { return *key_; }

 private:
  pkcs11::Module module_;
  pkcs11::Session session_;
  std::optional<SigningKey> key_;
};

}  // namespace qpcseal::keys
