// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "base/error.h"
#include "pkcs11/session.h"

namespace qpcseal::pkcs11 {

namespace {

constexpr std::size_t kAbandoned = std::size_t{256} << 10;  // bytes; more than a probe encrypts

[[noreturn]] void refuse_length(std::string_view call, const Object& key) {
  throw Error(ErrorKind::Token, std::string(call) + "(" + key.name +
                                    "): the module returned another length than the mechanism has");
}

}  // namespace

Bytes Session::sign(CK_MECHANISM mechanism, const Object& key, ByteView data, std::size_t limit) {
  check(calls_.C_SignInit(handle_, &mechanism, key.handle), "C_SignInit", key.name);
  Bytes out(limit);
  CK_ULONG size = out.size();
  check(calls_.C_Sign(handle_, unconst(data), data.size(), out.data(), &size), "C_Sign", key.name);
  if (size > out.size()) refuse_length("C_Sign", key);
  out.resize(size);
  return out;
}

Bytes Session::wrap(CK_MECHANISM mechanism, const Object& wrapping, const Object& key, std::size_t limit) {
  Bytes out(limit);
  CK_ULONG size = out.size();
  check(calls_.C_WrapKey(handle_, &mechanism, wrapping.handle, key.handle, out.data(), &size), "C_WrapKey",
        key.name);
  if (size > out.size() || size == 0) refuse_length("C_WrapKey", key);
  out.resize(size);
  return out;
}

void Session::encrypt(CK_MECHANISM mechanism, const Object& key, ByteView plain, MutableBytes out) {
  encrypt_begin(mechanism, key);
  CK_ULONG size = out.size();
  check(calls_.C_Encrypt(handle_, unconst(plain), plain.size(), out.data(), &size), "C_Encrypt", key.name);
  if (size != out.size()) refuse_length("C_Encrypt", key);
}

void Session::abandon_encryption() noexcept {
  unsigned char byte = 0;
  std::array<unsigned char, kAbandoned> out{};
  CK_ULONG size = 64;
  calls_.C_Encrypt(handle_, &byte, 1, out.data(), &size);
  size = out.size();  // where a token holds back what it was given, and ends with nothing less
  calls_.C_EncryptFinal(handle_, out.data(), &size);
}

void Session::encrypt_begin(CK_MECHANISM mechanism, const Object& key) {
  check(calls_.C_EncryptInit(handle_, &mechanism, key.handle), "C_EncryptInit", key.name);
}

std::size_t Session::encrypt_update(const Object& key, ByteView plain, MutableBytes out) {
  CK_ULONG size = out.size();
  check(calls_.C_EncryptUpdate(handle_, unconst(plain), plain.size(), out.data(), &size), "C_EncryptUpdate",
        key.name);
  if (size > out.size()) refuse_length("C_EncryptUpdate", key);
  return size;
}

std::size_t Session::encrypt_finish(const Object& key, MutableBytes out) {
  CK_ULONG size = out.size();
  check(calls_.C_EncryptFinal(handle_, out.data(), &size), "C_EncryptFinal", key.name);
  if (size > out.size()) refuse_length("C_EncryptFinal", key);
  return size;
}

}  // namespace qpcseal::pkcs11
