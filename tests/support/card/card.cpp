// SPDX-License-Identifier: Apache-2.0
// libcard.so: SoftHSM with the ways of a smart card, as CARD names them:
//   pad     the token has a PIN pad (CKF_PROTECTED_AUTHENTICATION_PATH): a login without a PIN takes the one
//   in
//           CARD_PIN, as if somebody typed it
//   final   one more wrong PIN locks the token (CKF_USER_PIN_FINAL_TRY)
//   always  private keys ask for the PIN at each signature (CKA_ALWAYS_AUTHENTICATE), as slot 9C of PIV does
// CARD_LOG names a file that gets a line for each C_Login: "user" or "key", and "typed" or "given".
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

namespace {

const CK_FUNCTION_LIST* softhsm = nullptr;
bool authenticated = false;  // for the next signature

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool has(const char* way) { return variable("CARD").find(way) != std::string::npos; }

CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO* out) {
  const CK_RV result = softhsm->C_GetTokenInfo(slot, out);
  if (result != CKR_OK) return result;
  if (has("pad")) out->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
  if (has("final")) out->flags |= CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY;
  return CKR_OK;
}

CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, unsigned char* pin, CK_ULONG size) {
  std::ofstream(variable("CARD_LOG"), std::ios::app)
      << (user == CKU_CONTEXT_SPECIFIC ? "key " : "user ") << (pin == nullptr ? "typed" : "given") << "\n";
  std::string text = variable("CARD_PIN");
  if (pin == nullptr && !has("pad")) return CKR_ARGUMENTS_BAD;
  if (pin != nullptr) text.assign(reinterpret_cast<const char*>(pin), size);
  if (user == CKU_CONTEXT_SPECIFIC) {
    if (text != variable("CARD_PIN")) return CKR_PIN_INCORRECT;
    authenticated = true;
    return CKR_OK;
  }
  return softhsm->C_Login(session, user, reinterpret_cast<unsigned char*>(text.data()), text.size());
}

bool is_private_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
  CK_OBJECT_CLASS kind = 0;
  CK_ATTRIBUTE attribute{CKA_CLASS, &kind, sizeof kind};
  return softhsm->C_GetAttributeValue(session, object, &attribute, 1) == CKR_OK && kind == CKO_PRIVATE_KEY;
}

CK_RV attributes(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE* wanted, CK_ULONG count) {
  const CK_RV result = softhsm->C_GetAttributeValue(session, object, wanted, count);
  if (has("always") && is_private_key(session, object))
    for (CK_ULONG i = 0; i < count; ++i)
      if (wanted[i].type == CKA_ALWAYS_AUTHENTICATE && wanted[i].pValue != nullptr)
        *static_cast<CK_BBOOL*>(wanted[i].pValue) = CK_TRUE;
  return result;
}

CK_RV sign(CK_SESSION_HANDLE session, unsigned char* data, CK_ULONG size, unsigned char* out,
           CK_ULONG* out_size) {
  if (has("always") && !authenticated) return CKR_USER_NOT_LOGGED_IN;
  if (out != nullptr) authenticated = false;
  return softhsm->C_Sign(session, data, size, out, out_size);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** out) {
  static CK_FUNCTION_LIST list{};
  void* library = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return CKR_GENERAL_ERROR;
  const auto get = reinterpret_cast<CK_C_GetFunctionList>(dlsym(library, "C_GetFunctionList"));
  CK_FUNCTION_LIST* calls = nullptr;
  if (get == nullptr || get(&calls) != CKR_OK) return CKR_GENERAL_ERROR;
  softhsm = calls;
  list = *calls;
  list.C_GetTokenInfo = token_info;
  list.C_Login = login;
  list.C_GetAttributeValue = attributes;
  list.C_Sign = sign;
  *out = &list;
  return CKR_OK;
}
