// SPDX-License-Identifier: Apache-2.0
#include "tests/support/forward/keydump.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <memory>

namespace qpcseal::forward {
namespace {

constexpr std::size_t kKekSize = 32;
using Kek = std::array<std::uint8_t, kKekSize>;

void check(CK_RV result, const char* call) {
  if (result == CKR_OK) return;
  throw std::runtime_error(std::string("key dump: ") + call + " gave " + std::to_string(result));
}

// A session of the server's own, beside those of its clients.
class OwnSession {
 public:
  OwnSession(CK_FUNCTION_LIST& module, CK_SLOT_ID slot) : module_(module) {
    check(module_.C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &handle_),
          "C_OpenSession");
  }
  OwnSession(const OwnSession&) = delete;
  OwnSession& operator=(const OwnSession&) = delete;
  ~OwnSession() { module_.C_CloseSession(handle_); }

  CK_OBJECT_HANDLE create_kek(Kek& kek) {
    CK_OBJECT_CLASS kind = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    std::array<CK_ATTRIBUTE, 7> attributes{{{CKA_CLASS, &kind, sizeof kind},
                                            {CKA_PRIVATE, &no, sizeof no},
                                            {CKA_KEY_TYPE, &type, sizeof type},
                                            {CKA_TOKEN, &no, sizeof no},
                                            {CKA_WRAP, &yes, sizeof yes},
                                            {CKA_SENSITIVE, &no, sizeof no},
                                            {CKA_VALUE, kek.data(), kek.size()}}};
    CK_OBJECT_HANDLE handle = 0;
    check(module_.C_CreateObject(handle_, attributes.data(), attributes.size(), &handle), "C_CreateObject");
    return handle;
  }

  std::optional<Bytes> wrap(CK_OBJECT_HANDLE kek, CK_OBJECT_HANDLE key) {
    CK_MECHANISM mechanism{CKM_AES_KEY_WRAP, nullptr, 0};
    Bytes wrapped(4096);
    CK_ULONG size = wrapped.size();
    if (module_.C_WrapKey(handle_, &mechanism, kek, key, wrapped.data(), &size) != CKR_OK)
      return std::nullopt;
    wrapped.resize(size);
    return wrapped;
  }

  std::string label_of(CK_OBJECT_HANDLE key) {
    std::array<char, 256> text{};
    CK_ATTRIBUTE attribute{CKA_LABEL, text.data(), text.size()};
    if (module_.C_GetAttributeValue(handle_, key, &attribute, 1) != CKR_OK) return "?";
    return {text.data(), attribute.ulValueLen};
  }

  void destroy(CK_OBJECT_HANDLE object) {
    check(module_.C_DestroyObject(handle_, object), "C_DestroyObject");
  }

 private:
  CK_FUNCTION_LIST& module_;
  CK_SESSION_HANDLE handle_ = 0;
};

Bytes unwrap(const Kek& kek, const Bytes& wrapped) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                EVP_CIPHER_CTX_free);
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  Bytes value(wrapped.size() + 16);
  int size = 0;
  if (EVP_DecryptInit_ex(context.get(), EVP_aes_256_wrap(), nullptr, kek.data(), nullptr) != 1 ||
      EVP_DecryptUpdate(context.get(), value.data(), &size, wrapped.data(),
                        static_cast<int>(wrapped.size())) != 1)
    throw std::runtime_error("key dump: what the token wrapped does not unwrap");
  value.resize(static_cast<std::size_t>(size));
  return value;
}

}  // namespace

KnownKey known_key(CK_FUNCTION_LIST& module, CK_SLOT_ID slot, CK_OBJECT_HANDLE key) {
  OwnSession session(module, slot);
  Kek kek{};
  if (RAND_bytes(kek.data(), static_cast<int>(kek.size())) != 1) throw std::runtime_error("no randomness");
  const CK_OBJECT_HANDLE wrapping = session.create_kek(kek);
  KnownKey known{session.label_of(key), std::nullopt};
  if (const auto wrapped = session.wrap(wrapping, key)) known.value = unwrap(kek, *wrapped);
  session.destroy(wrapping);
  return known;
}

std::string to_line(const KnownKey& key) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (!key.value) return "# not extractable: " + key.label + "\n";
  std::string line;
  for (const std::uint8_t byte : *key.value) {
    line += kDigits[byte >> 4U];
    line += kDigits[byte & 15U];
  }
  return line + " " + key.label + "\n";
}

}  // namespace qpcseal::forward
