// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/pin_change.h"

#include "appliance/site/logged_act.h"
#include "appliance/site/pin_login.h"
#include "base/error.h"
#include "base/file.h"
#include "pkcs11/user_pin.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

constexpr std::size_t kLeast = 4;  // characters; tokens have limits of their own

// Which of the two PINs the token has, found by logging in anew. Nothing where that could lock it, or fails.
std::optional<bool> has_old_pin(Appliance& appliance, const SecretBuffer& old_pin,
                                const SecretBuffer& new_pin) {
  pkcs11::UserPin user(appliance.module(), appliance.token());
  if (user.may_lock()) return std::nullopt;
  user.logout();
  if (user.try_login(old_pin)) return true;
  if (!user.may_lock() && user.try_login(new_pin)) return false;
  return std::nullopt;
}

}  // namespace

void change_pin(Appliance& appliance, const SecretBuffer& old_pin, const SecretBuffer& new_pin) {
  if (new_pin.size() < kLeast) throw Error(ErrorKind::Usage, "a PIN has at least 4 characters");
  if (equal(old_pin.bytes(), new_pin.bytes())) throw Error(ErrorKind::Usage, "the new PIN is the old one");
  const auto file = pin_file_path(appliance.site().pin_source);
  const std::filesystem::path next = file ? next_pin_file(*file) : std::filesystem::path();
  if (file) write_file(next, new_pin.bytes(), Existing::Refuse, 0600);
  const std::string where = file ? "; the new PIN is in " + next.string() : "";
  bool may_have_it = false;
  const auto set = [&](const audit::Txn&) -> Json {
    may_have_it = true;
    with_context("the PIN may have changed" + where, [&] {
      appliance.session().set_pin(old_pin, new_pin);
      appliance.sync_token();  // here, so that a failure names the PIN file
    });
    return {{"token_serial", appliance.token().serial}};
  };
  const auto must_have_the_old_one = [&] {
    if (has_old_pin(appliance, old_pin, new_pin) != true)
      throw Error(ErrorKind::Token, "the token may have the new PIN");
    appliance.find_keys_again();
    may_have_it = false;
  };
  try {
    logged_act(appliance.log(),
               {"pin-change", {{"token_serial", appliance.token().serial}}, set, must_have_the_old_one});
  } catch (const Error&) {
    if (file && !may_have_it) remove_next_pin_file(next);
    throw;
  }
  if (file)
    after_result("the PIN is changed",
                 "the new PIN is in " + next.string() + "; the next start gives it its name",
                 [&] { settle_pin_file(*file, PinTaken::Next); });
}

}  // namespace qpcseal::site
