// SPDX-License-Identifier: Apache-2.0
// Which token of a module a person means, and what a module has to choose from.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pkcs11/module.h"

namespace qpcseal::pkcs11 {

// What was given of it; an empty field fits every token.
struct TokenChoice {
  std::string label, serial;
  std::optional<unsigned long> slot;  // CK_SLOT_ID: many modules number anew at each start
  [[nodiscard]] bool empty() const { return label.empty() && serial.empty() && !slot; }
  // The first that was given, to ask for its PIN: "plant", "serial 0a1b", "slot 3".
  [[nodiscard]] std::string name() const;
};

// "token 'plant' with serial 0a1b in slot 3"
std::string describe(const TokenChoice& choice);

// The one initialized token that fits (calls C_GetSlotList, C_GetTokenInfo). Error{Token} where none fits, or
// more than one.
TokenInfo find_token(const Module& module, const TokenChoice& choice);

// Before a login, by the token's state (CK_TOKEN_INFO). Error{Token}: one more wrong PIN would lock the PIN,
// and `last_try` refuses; or the PIN is to be typed on the token's own pad, and it has none.
struct LoginState {
  std::string token;  // its label
  bool final_try = false, has_pad = false;
};
void check_login(const LoginState& state, bool on_pad, LastTry last_try);

struct ListedToken {
  TokenInfo info;
  std::vector<std::string> flags;  // e.g. "user PIN: last try", "PIN pad", "read-only"
};

// Every slot with a token in it, not logged in (calls C_GetSlotList, C_GetTokenInfo).
std::vector<ListedToken> list_tokens(const Module& module);

}  // namespace qpcseal::pkcs11
