// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/token_choice.h"

#include <utility>

#include "base/error.h"

namespace qpcseal::pkcs11 {

namespace {

bool fits(const TokenInfo& info, const TokenChoice& choice) {
  return info.initialized && (choice.label.empty() || info.label == choice.label) &&
         (choice.serial.empty() || info.serial == choice.serial) &&
         (!choice.slot || info.slot == *choice.slot);
}

// The flags that decide what a person can do with a token; others say nothing to them.
constexpr std::pair<CK_FLAGS, const char*> kFlags[] = {
    {CKF_WRITE_PROTECTED, "read-only"},
    {CKF_PROTECTED_AUTHENTICATION_PATH, "PIN pad"},
    {CKF_USER_PIN_COUNT_LOW, "user PIN: a wrong one was given"},
    {CKF_USER_PIN_FINAL_TRY, "user PIN: last try"},
    {CKF_USER_PIN_LOCKED, "user PIN: locked"},
    {CKF_USER_PIN_TO_BE_CHANGED, "user PIN: must be changed"},
};

std::vector<std::string> words_of(CK_FLAGS flags) {
  std::vector<std::string> out;
  if ((flags & CKF_TOKEN_INITIALIZED) == 0) out.emplace_back("not initialized");
  if ((flags & CKF_USER_PIN_INITIALIZED) == 0) out.emplace_back("no user PIN");
  if ((flags & CKF_LOGIN_REQUIRED) == 0) out.emplace_back("no login needed");
  for (const auto& [flag, word] : kFlags)
    if ((flags & flag) != 0) out.emplace_back(word);
  return out;
}

std::string tokens_in(const Module& module) {
  std::string out;
  for (const TokenInfo& info : module.tokens())
    if (info.initialized)
      out += (out.empty() ? "" : ", ") + ("'" + info.label + "' (serial " + info.serial + ")");
  return out.empty() ? "the module has no token" : "the module has: " + out;
}

}  // namespace

std::string TokenChoice::name() const {
  if (!label.empty()) return label;
  if (!serial.empty()) return "serial " + serial;
  return slot ? "slot " + std::to_string(*slot) : "";
}

std::string describe(const TokenChoice& choice) {
  std::string out = "token";
  if (!choice.label.empty()) out += " '" + choice.label + "'";
  if (!choice.serial.empty()) out += " with serial " + choice.serial;
  if (choice.slot) out += " in slot " + std::to_string(*choice.slot);
  return out;
}

TokenInfo find_token(const Module& module, const TokenChoice& choice) {
  std::vector<TokenInfo> found;
  for (TokenInfo& info : module.tokens())
    if (fits(info, choice)) found.push_back(std::move(info));
  if (found.size() == 1) return found.front();
  const std::string hint = "'qpcseal doctor --list' shows the tokens of a module";
  if (found.empty())
    throw Error(ErrorKind::Token, describe(choice) + " is not there; " + tokens_in(module), hint);
  std::string fitting;
  for (const TokenInfo& info : found)
    fitting += (fitting.empty() ? "" : ", ") + std::string("slot ") + std::to_string(info.slot) +
               " (serial " + (info.serial.empty() ? "none" : info.serial) + ")";
  throw Error(ErrorKind::Token, describe(choice) + ": more than one: " + fitting,
              "tell them apart by --serial or --slot; " + hint);
}

void check_login(const LoginState& state, bool on_pad, LastTry last_try) {
  if (on_pad && !state.has_pad)
    throw Error(ErrorKind::Token, "token '" + state.token + "' has no PIN pad",
                "pin_source \"tty\" asks on the terminal, \"file:/path\" reads a file");
  if (state.final_try && last_try == LastTry::Refuse)
    throw Error(ErrorKind::Token, "token '" + state.token + "' locks its PIN with one more wrong one",
                "--last-try logs in all the same");
}

std::vector<ListedToken> list_tokens(const Module& module) {
  std::vector<ListedToken> out;
  for (TokenInfo& info : module.tokens()) {
    CK_TOKEN_INFO raw{};
    check(module.calls().C_GetTokenInfo(info.slot, &raw), "C_GetTokenInfo",
          "slot " + std::to_string(info.slot));
    out.push_back({std::move(info), words_of(raw.flags)});
  }
  return out;
}

}  // namespace qpcseal::pkcs11
