// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/pin_login.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "appliance/site/pin.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_name.h"
#include "pkcs11/token_choice.h"
#include "pkcs11/user_pin.h"

namespace qpcseal::site {

namespace {

constexpr std::string_view kPrefix = "file:", kNext = ".qpcseal-next";

}  // namespace

std::optional<std::filesystem::path> pin_file_path(const std::string& pin_source) {
  if (!pin_source.starts_with(kPrefix)) return std::nullopt;
  return std::filesystem::path(pin_source.substr(kPrefix.size()));
}

std::filesystem::path next_pin_file(const std::filesystem::path& pin_file) {
  return pin_file.string() + std::string(kNext);
}

PinTaken login_user(const pkcs11::Module& module, pkcs11::Session& session, const SecretBuffer& pin,
                    const std::optional<std::filesystem::path>& pin_file, pkcs11::LastTry last_try) {
  if (!pin_file || !is_name_taken(next_pin_file(*pin_file))) {
    session.login(pin, last_try);
    return PinTaken::Given;
  }
  pkcs11::UserPin user(module, session.token());
  pkcs11::check_login({session.token().label, user.may_lock(), false}, false, last_try);
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

void remove_next_pin_file(const std::filesystem::path& next) {
  if (unlink(next.c_str()) != 0 && errno != ENOENT) throw_errno(next.string());
  sync_folder(parent_dir(next));
}

void settle_pin_file(const std::filesystem::path& pin_file, PinTaken taken) {
  const std::filesystem::path next = next_pin_file(pin_file);
  if (taken == PinTaken::GivenNotNext) remove_next_pin_file(next);
  if (taken != PinTaken::Next) return;
  if (rename(next.c_str(), pin_file.c_str()) != 0) throw_errno(pin_file.string());
  sync_folder(parent_dir(pin_file));
}

}  // namespace qpcseal::site
