// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/officer_key.h"

#include <libp11.h>
#include <openssl/err.h>

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace qpcseal::pkcs11 {

namespace {

// What libp11 put last on OpenSSL's error queue, e.g. "Incorrect PIN".
Error failed(const std::string& what) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return {ErrorKind::Token, what + (reason != nullptr ? std::string(": ") + reason : std::string())};
}

bool is_ec(PKCS11_KEY& key) { return PKCS11_get_key_type(&key) == EVP_PKEY_EC; }

}  // namespace

struct OfficerKey::State {
  PKCS11_CTX* context = nullptr;
  bool loaded = false;
  PKCS11_SLOT* slots = nullptr;
  unsigned count = 0;
  EVP_PKEY* key = nullptr;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  // In this order, and before main returns: libp11's own exit handlers come too late.
  ~State() {
    EVP_PKEY_free(key);
    if (slots != nullptr) PKCS11_release_all_slots(context, slots, count);
    if (loaded) PKCS11_CTX_unload(context);
    if (context != nullptr) PKCS11_CTX_free(context);
  }

  void load(const std::string& module) {
    context = PKCS11_CTX_new();
    if (context == nullptr) throw Error(ErrorKind::Internal, "PKCS11_CTX_new failed");
    if (PKCS11_CTX_load(context, module.c_str()) != 0) throw failed("module " + module);
    loaded = true;
    if (PKCS11_enumerate_slots(context, &slots, &count) != 0) throw failed("module " + module + ": slots");
  }

  PKCS11_SLOT& find_slot(const std::string& token) const {
    PKCS11_SLOT* found = nullptr;
    for (unsigned i = 0; i < count; ++i) {
      if (slots[i].token == nullptr || slots[i].token->label != token) continue;
      if (found != nullptr) throw Error(ErrorKind::Token, "several tokens are labelled '" + token + "'");
      found = &slots[i];
    }
    if (found == nullptr) throw Error(ErrorKind::Token, "no token is labelled '" + token + "'");
    return *found;
  }

  static void login(PKCS11_SLOT& slot, const SecretBuffer& pin) {
    SecretBuffer text(pin.size() + 1);  // ends with a NUL
    std::ranges::copy(pin.bytes(), text.bytes().begin());
    if (PKCS11_login(&slot, 0, reinterpret_cast<const char*>(text.bytes().data())) != 0)
      throw failed("login to token '" + std::string(slot.token->label) + "'");
  }

  void find_key(PKCS11_TOKEN& token, const std::string& label) {
    PKCS11_KEY* keys = nullptr;
    unsigned size = 0;
    if (PKCS11_enumerate_keys(&token, &keys, &size) != 0) throw failed("keys of the token");
    PKCS11_KEY* found = nullptr;
    for (unsigned i = 0; i < size; ++i) {
      if (!is_ec(keys[i]) || (!label.empty() && label != keys[i].label)) continue;
      if (found != nullptr)
        throw Error(ErrorKind::Token, "the token holds several ECDSA keys of that name", "name one by --key");
      found = &keys[i];
    }
    if (found == nullptr)
      throw Error(ErrorKind::Token,
                  "the token holds no ECDSA key" + (label.empty() ? "" : " labelled '" + label + "'"),
                  "for an Ed25519 key use ssh-keygen -Y sign with ssh-agent");
    key = PKCS11_get_private_key(found);
    if (key == nullptr) throw failed("the key cannot be used");
  }
};

OfficerKey::OfficerKey(const std::string& module, const std::string& token, const std::string& key,
                       const SecretBuffer& pin)
    : state_(std::make_unique<State>()) {
  if (!module.starts_with('/')) throw Error(ErrorKind::Usage, "--module wants an absolute path");
  state_->load(module);
  PKCS11_SLOT& slot = state_->find_slot(token);
  State::login(slot, pin);
  state_->find_key(*slot.token, key);
}

OfficerKey::~OfficerKey() = default;

EVP_PKEY* OfficerKey::get() const { return state_->key; }

}  // namespace qpcseal::pkcs11
