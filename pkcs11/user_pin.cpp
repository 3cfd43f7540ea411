// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/user_pin.h"

namespace qpcseal::pkcs11 {

namespace {

std::string name_of(const TokenInfo& token) { return "token '" + token.label + "'"; }

}  // namespace

UserPin::UserPin(const Module& module, const TokenInfo& token) : calls_(module.calls()), token_(token) {
  check(calls_.C_OpenSession(token.slot, CKF_SERIAL_SESSION, nullptr, nullptr, &handle_), "C_OpenSession",
        name_of(token));
}

UserPin::~UserPin() { calls_.C_CloseSession(handle_); }

bool UserPin::try_login(const SecretBuffer& pin) {
  const CK_RV result = calls_.C_Login(handle_, CKU_USER, unconst(pin.bytes()), pin.size());
  if (result == CKR_PIN_INCORRECT) return false;
  check(result, "C_Login", name_of(token_));
  return true;
}

void UserPin::logout() { check(calls_.C_Logout(handle_), "C_Logout", name_of(token_)); }

bool UserPin::may_lock() const {
  CK_TOKEN_INFO info{};
  check(calls_.C_GetTokenInfo(token_.slot, &info), "C_GetTokenInfo", name_of(token_));
  return (info.flags & (CKF_USER_PIN_LOCKED | CKF_USER_PIN_FINAL_TRY)) != 0;
}

}  // namespace qpcseal::pkcs11
