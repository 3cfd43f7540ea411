// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/calls.h"

#include <array>
#include <cstdio>

#include "base/error.h"

namespace qpcseal::pkcs11 {

namespace {

struct ResultName {
  CK_RV code;
  std::string_view name, hint;
};

#define QPCSEAL_CKR(code) code, #code
constexpr std::array kNames{
    ResultName{QPCSEAL_CKR(CKR_HOST_MEMORY), ""},
    ResultName{QPCSEAL_CKR(CKR_SLOT_ID_INVALID), ""},
    ResultName{QPCSEAL_CKR(CKR_GENERAL_ERROR), ""},
    ResultName{QPCSEAL_CKR(CKR_FUNCTION_FAILED), ""},
    ResultName{QPCSEAL_CKR(CKR_ARGUMENTS_BAD), ""},
    ResultName{QPCSEAL_CKR(CKR_ATTRIBUTE_READ_ONLY), ""},
    ResultName{QPCSEAL_CKR(CKR_ATTRIBUTE_SENSITIVE), ""},
    ResultName{QPCSEAL_CKR(CKR_ATTRIBUTE_TYPE_INVALID), ""},
    ResultName{QPCSEAL_CKR(CKR_ATTRIBUTE_VALUE_INVALID), ""},
    ResultName{QPCSEAL_CKR(CKR_ACTION_PROHIBITED), ""},
    ResultName{QPCSEAL_CKR(CKR_DATA_INVALID), ""},
    ResultName{QPCSEAL_CKR(CKR_DATA_LEN_RANGE), ""},
    ResultName{QPCSEAL_CKR(CKR_DEVICE_ERROR), ""},
    ResultName{QPCSEAL_CKR(CKR_DEVICE_MEMORY), ""},
    ResultName{QPCSEAL_CKR(CKR_DEVICE_REMOVED), "the token is gone; put it back and run the command again"},
    ResultName{QPCSEAL_CKR(CKR_ENCRYPTED_DATA_INVALID), ""},
    ResultName{QPCSEAL_CKR(CKR_FUNCTION_NOT_SUPPORTED), ""},
    ResultName{QPCSEAL_CKR(CKR_KEY_HANDLE_INVALID), ""},
    ResultName{QPCSEAL_CKR(CKR_KEY_SIZE_RANGE), ""},
    ResultName{QPCSEAL_CKR(CKR_KEY_TYPE_INCONSISTENT), ""},
    ResultName{QPCSEAL_CKR(CKR_KEY_FUNCTION_NOT_PERMITTED), ""},
    ResultName{QPCSEAL_CKR(CKR_KEY_NOT_WRAPPABLE), ""},
    ResultName{QPCSEAL_CKR(CKR_KEY_UNEXTRACTABLE),
               "the key was made without CKA_EXTRACTABLE: it cannot be released"},
    ResultName{QPCSEAL_CKR(CKR_MECHANISM_INVALID), "'qpcseal doctor' tells what the token can do"},
    ResultName{QPCSEAL_CKR(CKR_MECHANISM_PARAM_INVALID), "'qpcseal doctor' tells what the token can do"},
    ResultName{QPCSEAL_CKR(CKR_OBJECT_HANDLE_INVALID), ""},
    ResultName{QPCSEAL_CKR(CKR_OPERATION_ACTIVE), ""},
    ResultName{QPCSEAL_CKR(CKR_OPERATION_NOT_INITIALIZED), ""},
    ResultName{QPCSEAL_CKR(CKR_PIN_INCORRECT), "tried once, not again: tokens lock after a few wrong PINs"},
    ResultName{QPCSEAL_CKR(CKR_PIN_INVALID), ""},
    ResultName{QPCSEAL_CKR(CKR_PIN_LEN_RANGE), ""},
    ResultName{QPCSEAL_CKR(CKR_PIN_EXPIRED), "a new PIN has to be set with the token's own tool"},
    ResultName{QPCSEAL_CKR(CKR_PIN_LOCKED), "the security officer of the token has to unlock it"},
    ResultName{QPCSEAL_CKR(CKR_SESSION_CLOSED), ""},
    ResultName{QPCSEAL_CKR(CKR_SESSION_COUNT), ""},
    ResultName{QPCSEAL_CKR(CKR_SESSION_HANDLE_INVALID), ""},
    ResultName{QPCSEAL_CKR(CKR_SESSION_READ_ONLY), ""},
    ResultName{QPCSEAL_CKR(CKR_TEMPLATE_INCOMPLETE), ""},
    ResultName{QPCSEAL_CKR(CKR_TEMPLATE_INCONSISTENT), ""},
    ResultName{QPCSEAL_CKR(CKR_TOKEN_NOT_PRESENT),
               "the token is gone; put it back and run the command again"},
    ResultName{QPCSEAL_CKR(CKR_TOKEN_NOT_RECOGNIZED), ""},
    ResultName{QPCSEAL_CKR(CKR_TOKEN_WRITE_PROTECTED), ""},
    ResultName{QPCSEAL_CKR(CKR_USER_NOT_LOGGED_IN), ""},
    ResultName{QPCSEAL_CKR(CKR_USER_PIN_NOT_INITIALIZED), ""},
    ResultName{QPCSEAL_CKR(CKR_USER_TYPE_INVALID), ""},
    ResultName{QPCSEAL_CKR(CKR_WRAPPING_KEY_HANDLE_INVALID), ""},
    ResultName{QPCSEAL_CKR(CKR_WRAPPING_KEY_SIZE_RANGE), ""},
    ResultName{QPCSEAL_CKR(CKR_WRAPPING_KEY_TYPE_INCONSISTENT), ""},
    ResultName{QPCSEAL_CKR(CKR_DOMAIN_PARAMS_INVALID), ""},
    ResultName{QPCSEAL_CKR(CKR_BUFFER_TOO_SMALL), ""},
    ResultName{QPCSEAL_CKR(CKR_CRYPTOKI_NOT_INITIALIZED), ""},
    ResultName{QPCSEAL_CKR(CKR_CRYPTOKI_ALREADY_INITIALIZED), ""},
};
#undef QPCSEAL_CKR

const ResultName* find(CK_RV result) {
  for (const ResultName& name : kNames)
    if (name.code == result) return &name;
  return nullptr;
}

}  // namespace

std::string name_of_result(CK_RV result) {
  const ResultName* known = find(result);
  std::array<char, 24> code{};
  std::snprintf(code.data(), code.size(), " (0x%lx)", result);
  return (known != nullptr ? std::string(known->name) : "CKR") + code.data();
}

namespace {

// The cause for programs, where a person mends it; else the kind's.
std::string_view cause_of(CK_RV result) {
  switch (result) {
    case CKR_PIN_INCORRECT:
      return "pin-incorrect";
    case CKR_PIN_LOCKED:
      return "pin-locked";
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_DEVICE_REMOVED:
    case CKR_TOKEN_NOT_RECOGNIZED:
      return "token-missing";
    default:
      return {};
  }
}

}  // namespace

std::string hint_to_start_a_module(std::string_view network) {
  return "does its daemon run, and is this account in its group? Folders that it needs are named by "
         "--module-files, a network by " +
         std::string(network) + " (docs/TOKENS.md)";
}

void throw_result(std::string_view call, std::string_view object, CK_RV result) {
  const ResultName* known = find(result);
  throw Error(ErrorKind::Token,
              std::string(call) + "(" + std::string(object) + "): " + name_of_result(result),
              known != nullptr ? std::string(known->hint) : std::string())
      .with_code(cause_of(result));
}

}  // namespace qpcseal::pkcs11
