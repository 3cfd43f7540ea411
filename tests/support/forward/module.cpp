// SPDX-License-Identifier: Apache-2.0
// libforward-token.so: a PKCS#11 2.40 module without a token, that hands each call to forward-token over the
// socket that C_Initialize's pReserved string names, "socket=/path". So the token's memory is another
// process's, and its faults are chosen there.
#include "tests/support/forward/module.h"

namespace {

// Any call that this module does not carry.
template <typename... Arguments>
CK_RV not_supported(Arguments...) {
  return CKR_FUNCTION_NOT_SUPPORTED;
}

template <typename... Slots>
void refuse(Slots&... slots) {
  ((slots = not_supported), ...);
}

void refuse_the_rest(CK_FUNCTION_LIST& list) {
  refuse(list.C_SetPIN, list.C_GetOperationState, list.C_SetOperationState, list.C_GetObjectSize,
         list.C_DecryptUpdate, list.C_DecryptFinal, list.C_DigestUpdate, list.C_DigestKey, list.C_DigestFinal,
         list.C_SignUpdate, list.C_SignFinal, list.C_SignRecoverInit, list.C_SignRecover, list.C_VerifyUpdate,
         list.C_VerifyFinal, list.C_VerifyRecoverInit, list.C_VerifyRecover, list.C_DigestEncryptUpdate,
         list.C_DecryptDigestUpdate, list.C_SignEncryptUpdate, list.C_DecryptVerifyUpdate,
         list.C_GetFunctionStatus, list.C_CancelFunction, list.C_WaitForSlotEvent);
}

CK_FUNCTION_LIST make_list() {
  CK_FUNCTION_LIST list{};
  list.version = {2, 40};
  list.C_GetFunctionList = C_GetFunctionList;
  qpcseal::forward::fill_tokens(list);
  qpcseal::forward::fill_keys(list);
  refuse_the_rest(list);
  return list;
}

}  // namespace

CK_RV C_GetFunctionList(CK_FUNCTION_LIST** out) {
  static CK_FUNCTION_LIST list = make_list();
  if (out == nullptr) return CKR_ARGUMENTS_BAD;
  *out = &list;
  return CKR_OK;
}
