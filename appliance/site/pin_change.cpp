#include "appliance/site/pin_change.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "appliance/site/appliance.h"
#include "appliance/site/logged_act.h"
#include "appliance/site/pin.h"
#include "base/error.h"
#include "base/file.h"
#include "pkcs11/user_pin.h"

namespace qpcseal::release {

namespace {

using audit::Json;

constexpr std::string_view kPrefix = "file:", kNext = ".qpcseal-next";
constexpr std::size_t kLeast = 4;  // characters; tokens have limits of their own

bool has_file(const std::filesystem::path& file) {
  return std::filesystem::symlink_status(file).type() != std::filesystem::file_type::not_found;
}

std::filesystem::path folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

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

void remove_next(const std::filesystem::path& next) {
  if (unlink(next.c_str()) != 0 && errno != ENOENT) throw_errno(next.string());
  sync_folder(folder_of(next));
}

}  // namespace

std::optional<std::filesystem::path> pin_file_of(const std::string& pin_source) {
  if (!pin_source.starts_with(kPrefix)) return std::nullopt;
  return std::filesystem::path(pin_source.substr(kPrefix.size()));
}

std::filesystem::path next_pin_file(const std::filesystem::path& pin_file) {
  return pin_file.string() + std::string(kNext);
}

PinTaken login_user(const pkcs11::Module& module, pkcs11::Session& session, const SecretBuffer& pin,
                    const std::optional<std::filesystem::path>& pin_file) {
  if (!pin_file || !has_file(next_pin_file(*pin_file))) {
    session.login(pin);
    return PinTaken::Given;
  }
  pkcs11::UserPin user(module, session.token());
  if (user.try_login(pin)) return PinTaken::GivenNotNext;
  const std::string next = next_pin_file(*pin_file).string();
  const std::string refused = "the token refuses the PIN in " + pin_file->string();
  if (user.may_lock())
    throw Error(
        ErrorKind::Token, refused + ", and one more wrong PIN may lock it",
        "a change of the PIN was cut short: the new one is in " + next + "; give it through --pin-fd");
  if (!user.try_login(read_pin("file:" + next, std::nullopt, "")))
    throw Error(ErrorKind::Token, refused + ", and the one in " + next + " too");
  return PinTaken::Next;
}

void settle_pin_file(const std::filesystem::path& pin_file, PinTaken taken) {
  const std::filesystem::path next = next_pin_file(pin_file);
  if (taken == PinTaken::GivenNotNext) remove_next(next);
  if (taken != PinTaken::Next) return;
  if (rename(next.c_str(), pin_file.c_str()) != 0) throw_errno(pin_file.string());
  sync_folder(folder_of(pin_file));
}

void change_pin(Appliance& appliance, const SecretBuffer& old_pin, const SecretBuffer& new_pin) {
  if (new_pin.size() < kLeast) throw Error(ErrorKind::Usage, "a PIN has at least 4 characters");
  if (equal(old_pin.bytes(), new_pin.bytes())) throw Error(ErrorKind::Usage, "the new PIN is the old one");
  const auto file = pin_file_of(appliance.site().pin_source);
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
    if (file && !may_have_it) remove_next(next);
    throw;
  }
  if (file)
    after_result("the PIN is changed",
                 "the new PIN is in " + next.string() + "; the next start gives it its name",
                 [&] { settle_pin_file(*file, PinTaken::Next); });
}

}  // namespace qpcseal::release
