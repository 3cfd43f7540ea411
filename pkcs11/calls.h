// SPDX-License-Identifier: Apache-2.0
// Cryptoki (PKCS #11 v2.40) as this project includes it, and the one conversion of its errors.
#pragma once

#include <p11-kit/pkcs11.h>

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace qpcseal::pkcs11 {

// "CKR_PIN_INCORRECT (0xa0)"; codes without a name of their own "CKR (0x80000001)".
std::string name_of_result(CK_RV result);

// Error{Token} "C_WrapKey(key 'resnet50#1'): CKR_KEY_UNEXTRACTABLE (0x6a)", with a hint where the code has a
// usual cause. `object` may be empty.
[[noreturn]] void throw_result(std::string_view call, std::string_view object, CK_RV result);
// What a module may lack that does not start; `network` is the option that lets it use one.
std::string hint_to_start_a_module(std::string_view network);

inline void check(CK_RV result, std::string_view call, std::string_view object = {}) {
  if (result != CKR_OK) throw_result(call, object, result);
}

// Cryptoki has no const, and some tokens need a non-null pointer for empty data.
inline unsigned char* unconst(ByteView bytes) {
  static unsigned char nothing = 0;
  return bytes.empty() ? &nothing : const_cast<unsigned char*>(bytes.data());
}

}  // namespace qpcseal::pkcs11
