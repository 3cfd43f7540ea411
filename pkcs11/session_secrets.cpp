// SPDX-License-Identifier: Apache-2.0
// Secrets that come in: keys (C_CreateObject, C_UnwrapKey), and a new PIN.
#include "base/error.h"
#include "pkcs11/session.h"

namespace qpcseal::pkcs11 {

Object Session::create_secret(Template attributes, const SecretBuffer& secret, const std::string& name) {
  auto list = attributes.attributes();
  list.push_back({CKA_VALUE, unconst(secret.bytes()), secret.size()});
  Object object{CK_INVALID_HANDLE, name};
  check(calls_.C_CreateObject(handle_, list.data(), list.size(), &object.handle), "C_CreateObject", name);
  if (object.handle == CK_INVALID_HANDLE)
    throw Error(ErrorKind::Token, "C_CreateObject(" + name + "): the module gave no object");
  return object;
}

Object Session::unwrap(CK_MECHANISM mechanism, const Object& unwrapping, ByteView wrapped,
                       Template attributes, const std::string& name) {
  auto list = attributes.attributes();
  Object object{CK_INVALID_HANDLE, name};
  check(calls_.C_UnwrapKey(handle_, &mechanism, unwrapping.handle, unconst(wrapped), wrapped.size(),
                           list.data(), list.size(), &object.handle),
        "C_UnwrapKey", name);
  if (object.handle == CK_INVALID_HANDLE)
    throw Error(ErrorKind::Token, "C_UnwrapKey(" + name + "): the module gave no object");
  return object;
}

void Session::set_pin(const SecretBuffer& old_pin, const SecretBuffer& new_pin) {
  check(calls_.C_SetPIN(handle_, unconst(old_pin.bytes()), old_pin.size(), unconst(new_pin.bytes()),
                        new_pin.size()),
        "C_SetPIN", "token '" + token_.label + "'");
}

}  // namespace qpcseal::pkcs11
