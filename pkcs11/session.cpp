// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/session.h"

#include <array>
#include <cstring>

#include "base/error.h"
#include "pkcs11/token_choice.h"

namespace qpcseal::pkcs11 {

namespace {

void check_handle(CK_OBJECT_HANDLE handle, std::string_view call, const std::string& name) {
  if (handle == CK_INVALID_HANDLE)
    throw Error(ErrorKind::Token, std::string(call) + "(" + name + "): the module gave no object");
}

}  // namespace

Session::Session(const Module& module, const TokenInfo& token, Access access)
    : calls_(module.calls()), token_(token) {
  const CK_FLAGS flags = CKF_SERIAL_SESSION | (access == Access::ReadWrite ? CKF_RW_SESSION : 0);
  check(calls_.C_OpenSession(token.slot, flags, nullptr, nullptr, &handle_), "C_OpenSession",
        "token '" + token.label + "'");
}

Session::~Session() { calls_.C_CloseSession(handle_); }

void Session::login(const SecretBuffer& pin, LastTry last_try) {
  CK_TOKEN_INFO info{};
  check(calls_.C_GetTokenInfo(token_.slot, &info), "C_GetTokenInfo", "token '" + token_.label + "'");
  check_login({token_.label, (info.flags & CKF_USER_PIN_FINAL_TRY) != 0,
               (info.flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0},
              pin.empty(), last_try);
  // A null pointer, and nothing else, stands for the pad (PKCS #11 section 5.6.9).
  unsigned char* text = pin.empty() ? nullptr : unconst(pin.bytes());
  const CK_RV result = calls_.C_Login(handle_, CKU_USER, text, pin.size());
  if (result != CKR_USER_ALREADY_LOGGED_IN) check(result, "C_Login", "token '" + token_.label + "'");
}

void Session::require_alive() {
  CK_SESSION_INFO info{};
  check(calls_.C_GetSessionInfo(handle_, &info), "C_GetSessionInfo", "token '" + token_.label + "'");
}

std::vector<CK_OBJECT_HANDLE> Session::find(Template wanted, std::size_t limit) {
  auto attributes = wanted.attributes();
  check(calls_.C_FindObjectsInit(handle_, attributes.data(), attributes.size()), "C_FindObjectsInit");
  std::vector<CK_OBJECT_HANDLE> out;
  std::array<CK_OBJECT_HANDLE, 64> page{};
  CK_RV result = CKR_OK;
  CK_ULONG count = 0;
  do {
    result = calls_.C_FindObjects(handle_, page.data(), page.size(), &count);
    if (result != CKR_OK || count > page.size()) break;
    out.insert(out.end(), page.begin(), page.begin() + static_cast<std::ptrdiff_t>(count));
  } while (count > 0 && out.size() <= limit);
  calls_.C_FindObjectsFinal(handle_);
  check(result, "C_FindObjects");
  if (count > page.size())
    throw Error(ErrorKind::Token, "C_FindObjects: the module claims more objects than it was asked for");
  if (out.size() > limit)
    throw Error(ErrorKind::Token, "C_FindObjects: more than " + std::to_string(limit) + " objects");
  return out;
}

Object Session::create(Template attributes, const std::string& name) {
  auto list = attributes.attributes();
  Object object{CK_INVALID_HANDLE, name};
  check(calls_.C_CreateObject(handle_, list.data(), list.size(), &object.handle), "C_CreateObject", name);
  check_handle(object.handle, "C_CreateObject", name);
  return object;
}

Object Session::generate(CK_MECHANISM mechanism, Template attributes, const std::string& name) {
  auto list = attributes.attributes();
  Object object{CK_INVALID_HANDLE, name};
  check(calls_.C_GenerateKey(handle_, &mechanism, list.data(), list.size(), &object.handle), "C_GenerateKey",
        name);
  check_handle(object.handle, "C_GenerateKey", name);
  return object;
}

Session::Pair Session::generate_pair(CK_MECHANISM mechanism, Template public_key, Template private_key,
                                     const std::string& name) {
  auto publics = public_key.attributes();
  auto privates = private_key.attributes();
  Pair pair{{CK_INVALID_HANDLE, "public " + name}, {CK_INVALID_HANDLE, name}};
  check(calls_.C_GenerateKeyPair(handle_, &mechanism, publics.data(), publics.size(), privates.data(),
                                 privates.size(), &pair.public_key.handle, &pair.private_key.handle),
        "C_GenerateKeyPair", name);
  check_handle(pair.private_key.handle, "C_GenerateKeyPair", name);
  check_handle(pair.public_key.handle, "C_GenerateKeyPair", name);
  return pair;
}

Object Session::derive(CK_MECHANISM mechanism, const Object& base, Template attributes,
                       const std::string& name) {
  auto list = attributes.attributes();
  Object object{CK_INVALID_HANDLE, name};
  check(calls_.C_DeriveKey(handle_, &mechanism, base.handle, list.data(), list.size(), &object.handle),
        "C_DeriveKey", base.name + " to " + name);
  check_handle(object.handle, "C_DeriveKey", name);
  return object;
}

void Session::destroy(const Object& object) {
  if (on_destroy_ && flag(object, CKA_TOKEN).value_or(true) && number(object, CKA_CLASS) != CKO_DATA)
    on_destroy_();
  check(calls_.C_DestroyObject(handle_, object.handle), "C_DestroyObject", object.name);
}

std::optional<Bytes> Session::attribute(const Object& object, CK_ATTRIBUTE_TYPE type) {
  CK_ATTRIBUTE wanted{type, nullptr, 0};
  CK_RV result = calls_.C_GetAttributeValue(handle_, object.handle, &wanted, 1);
  // CKR_ATTRIBUTE_VALUE_INVALID: SoftHSM, of an object that has no class.
  if (result == CKR_ATTRIBUTE_TYPE_INVALID || result == CKR_ATTRIBUTE_SENSITIVE ||
      result == CKR_ATTRIBUTE_VALUE_INVALID)
    return std::nullopt;
  check(result, "C_GetAttributeValue", object.name);
  if (wanted.ulValueLen == CK_UNAVAILABLE_INFORMATION) return std::nullopt;
  if (wanted.ulValueLen > kMaxAttribute)
    throw Error(ErrorKind::Token,
                "C_GetAttributeValue(" + object.name + "): the module claims an impossible length");
  Bytes value(wanted.ulValueLen);
  wanted.pValue = value.data();
  result = calls_.C_GetAttributeValue(handle_, object.handle, &wanted, 1);
  check(result, "C_GetAttributeValue", object.name);
  if (wanted.ulValueLen > value.size())
    throw Error(ErrorKind::Token, "C_GetAttributeValue(" + object.name + "): a length beyond the buffer");
  value.resize(wanted.ulValueLen);
  return value;
}

std::optional<bool> Session::flag(const Object& object, CK_ATTRIBUTE_TYPE type) {
  const auto value = attribute(object, type);
  if (!value || value->size() != 1) return std::nullopt;
  return (*value)[0] != CK_FALSE;
}

std::optional<CK_ULONG> Session::number(const Object& object, CK_ATTRIBUTE_TYPE type) {
  const auto value = attribute(object, type);
  if (!value || value->size() != sizeof(CK_ULONG)) return std::nullopt;
  CK_ULONG out = 0;
  std::memcpy(&out, value->data(), sizeof(out));
  return out;
}

ScopedObject::~ScopedObject() {
  if (session_ == nullptr) return;
  try {
    session_->destroy(object_);
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch): the token drops a session object with its session
  }
}

}  // namespace qpcseal::pkcs11
