// SPDX-License-Identifier: Apache-2.0
// Login with the PIN file's PIN, or with the new one beside it, where a change of the PIN was cut short.
//
// The new PIN is on disk, beside the PIN file, before the token gets it (C_SetPIN), and stays there until the
// token is known to have the old one, or the PIN file has the new one. At every moment one of the two files
// has the token's PIN. The start after a kill tries the PIN file's first and then, where that cannot lock the
// token, the other's.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/secret.h"
#include "pkcs11/session.h"

namespace qpcseal::site {

// The PIN file that a pin_source names; nothing for "tty".
std::optional<std::filesystem::path> pin_file_path(const std::string& pin_source);
// Where the new PIN lies meanwhile: FILE.qpcseal-next.
std::filesystem::path next_pin_file(const std::filesystem::path& pin_file);

enum class PinTaken {
  Given,         // there is no other
  GivenNotNext,  // the PIN file's: the token has not the one beside it
  Next,          // the one beside the PIN file
};

// Logs in with `pin`; where the token refuses it and it came from `pin_file` (none: it did not), with the PIN
// beside that file. Error{Token}, naming the file where its PIN was not tried because one more try might lock
// the token.
PinTaken login_user(const pkcs11::Module& module, pkcs11::Session& session, const SecretBuffer& pin,
                    const std::optional<std::filesystem::path>& pin_file,
                    pkcs11::LastTry last_try = pkcs11::LastTry::Refuse);
// Error{Io}.
void remove_next_pin_file(const std::filesystem::path& next);
// Gives the PIN file the token's PIN, or removes the one that the token has not. Error{Io}.
void settle_pin_file(const std::filesystem::path& pin_file, PinTaken taken);

}  // namespace qpcseal::site
