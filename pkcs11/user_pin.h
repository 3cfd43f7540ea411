// SPDX-License-Identifier: Apache-2.0
// The state of the user's PIN, and another login to find which PIN the token has.
#pragma once

#include "base/secret.h"
#include "pkcs11/session.h"

namespace qpcseal::pkcs11 {

// The login is the process's, for all of its sessions; this has a session of its own for the calls.
class UserPin {
 public:
  // Error{Token}, as all that follows.
  UserPin(const Module& module, const TokenInfo& token);
  ~UserPin();
  UserPin(const UserPin&) = delete;
  UserPin& operator=(const UserPin&) = delete;

  // One try (C_Login). False where the token refuses the PIN (CKR_PIN_INCORRECT).
  [[nodiscard]] bool try_login(const SecretBuffer& pin);
  // Handles of private objects from before are void (C_Logout).
  void logout();
  // Whether it is locked, or one more wrong PIN locks it (C_GetTokenInfo: CKF_USER_PIN_LOCKED, _FINAL_TRY).
  [[nodiscard]] bool may_lock() const;

 private:
  const CK_FUNCTION_LIST& calls_;
  const TokenInfo& token_;
  CK_SESSION_HANDLE handle_ = 0;
};

}  // namespace qpcseal::pkcs11
