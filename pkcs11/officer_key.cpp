// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/officer_key.h"

#include <libp11.h>
#include <openssl/ui.h>

#include <algorithm>
#include <span>

#include "base/error.h"
#include "base/openssl.h"

namespace qpcseal::pkcs11 {

namespace {

// What libp11 put last on OpenSSL's error queue, e.g. "Incorrect PIN".
Error failed(const std::string& what) { return {ErrorKind::Token, what + take_openssl_reason()}; }

bool fits(PKCS11_SLOT& slot, const TokenChoice& choice) {
  return slot.token != nullptr && (choice.label.empty() || slot.token->label == choice.label) &&
         (choice.serial.empty() || slot.token->serialnr == choice.serial) &&
         (!choice.slot || PKCS11_get_slotid_from_slot(&slot) == *choice.slot);
}

// libp11 asks by this for the PIN of a key that always authenticates: gives the one of the login, which the
// UI's user data is.
int answer(UI* ui, UI_STRING* question) {
  if (UI_get_string_type(question) != UIT_PROMPT) return 1;
  return UI_set_result(ui, question, static_cast<const char*>(UI_get0_user_data(ui))) == 0 ? 1 : 0;
}

bool is_ec(PKCS11_KEY& key) { return PKCS11_get_key_type(&key) == EVP_PKEY_EC; }

// What to do where none of these keys is the one.
std::string hint(std::span<PKCS11_KEY> keys) {
  std::string labels;
  for (PKCS11_KEY& key : keys)
    if (is_ec(key)) labels += " '" + std::string(key.label) + "'";
  if (!labels.empty()) return "its ECDSA keys are" + labels;
  return keys.empty() ? "make one: P-256 or P-384"
                      : "RSA keys sign nothing here: make an ECDSA key, P-256 or P-384, beside them";
}

}  // namespace

struct OfficerKey::State {
  PKCS11_CTX* context = nullptr;
  bool loaded = false;
  PKCS11_SLOT* slots = nullptr;
  unsigned count = 0;
  EVP_PKEY* key = nullptr;
  SecretBuffer pin;  // ends with a NUL; empty: the token's own pad
  UI_METHOD* ui = nullptr;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  // In this order, and before main returns: libp11's own exit handlers come too late.
  ~State() {
    EVP_PKEY_free(key);
    if (slots != nullptr) PKCS11_release_all_slots(context, slots, count);
    if (loaded) PKCS11_CTX_unload(context);
    if (context != nullptr) PKCS11_CTX_free(context);
    UI_destroy_method(ui);
  }

  void load(const std::string& module) {
    context = PKCS11_CTX_new();
    if (context == nullptr) throw Error(ErrorKind::Internal, "PKCS11_CTX_new failed");
    if (PKCS11_CTX_load(context, module.c_str()) != 0)
      throw failed("module " + module).with_hint(hint_to_start_a_module("--module-network"));
    loaded = true;
    if (PKCS11_enumerate_slots(context, &slots, &count) != 0) throw failed("module " + module + ": slots");
  }

  [[nodiscard]] PKCS11_SLOT& find_slot(const TokenChoice& choice) const {
    PKCS11_SLOT* found = nullptr;
    for (PKCS11_SLOT& slot : std::span(slots, count)) {
      if (!fits(slot, choice)) continue;
      if (found != nullptr)
        throw Error(ErrorKind::Token, describe(choice) + ": more than one",
                    "tell them apart by --serial or --slot ('qpcseal doctor --list --module MODULE')");
      found = &slot;
    }
    if (found == nullptr)
      throw Error(ErrorKind::Token, describe(choice) + " is not there",
                  "'qpcseal doctor --list --module MODULE' shows the tokens");
    return *found;
  }

  void keep_pin(const SecretBuffer& given) {
    if (given.empty()) return;
    pin = SecretBuffer(given.size() + 1);
    std::ranges::copy(given.bytes(), pin.bytes().begin());
    ui = UI_create_method("the PIN of the login");
    if (ui == nullptr || UI_method_set_reader(ui, answer) != 0 ||
        PKCS11_set_ui_method(context, ui, pin.bytes().data()) != 0)
      throw Error(ErrorKind::Internal, "OpenSSL gives no UI_METHOD");
  }

  void login(PKCS11_SLOT& slot, LastTry last_try) const {
    const std::string label(slot.token->label);
    check_login({label, slot.token->userPinFinalTry != 0, slot.token->secureLogin != 0}, pin.empty(),
                last_try);
    const char* text = pin.empty() ? nullptr : reinterpret_cast<const char*>(pin.bytes().data());
    if (PKCS11_login(&slot, 0, text) != 0) throw failed("login to token '" + label + "'");
  }

  void find_key(PKCS11_TOKEN& token, const std::string& label) {
    PKCS11_KEY* keys = nullptr;
    unsigned size = 0;
    if (PKCS11_enumerate_keys(&token, &keys, &size) != 0) return ERR_clear_error();
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
                  hint({keys, size}));
    key = PKCS11_get_private_key(found);
    if (key == nullptr) throw failed("the key cannot be used");
  }
};

OfficerKey::OfficerKey(const std::string& module, const TokenChoice& token, const std::string& key,
                       const SecretBuffer& pin, LastTry last_try)
    : state_(std::make_unique<State>()) {
  if (!module.starts_with('/')) throw Error(ErrorKind::Usage, "--module wants an absolute path");
  state_->load(module);
  PKCS11_SLOT& slot = state_->find_slot(token);
  state_->keep_pin(pin);
  state_->login(slot, last_try);
  state_->find_key(*slot.token, key);
}

OfficerKey::~OfficerKey() = default;

EVP_PKEY* OfficerKey::get() const { return state_->key; }

}  // namespace qpcseal::pkcs11
