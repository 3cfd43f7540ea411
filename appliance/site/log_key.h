// SPDX-License-Identifier: Apache-2.0
// The log key in the token, and its rotation.
//
// A rotation: intent in the log; new pair in the token; result entry with the new key, signed by the old one,
// under a checkpoint that the new key signs; old pair destroyed. The checkpoint on disk decides which key is
// the log key. A run that was cut short leaves one extra key, which the next start destroys.
#pragma once

#include <filesystem>
#include <string>

#include "pkcs11/session.h"

namespace qpcseal::site {

// The label of the key that signed the log's checkpoint. Where the token has one log key, that one:
// Log::open() checks it.
std::string find_log_key(pkcs11::Session& session, const std::filesystem::path& log);
// Destroys all log keys but `label`. For a log that was opened with it, and so verified.
void retire_log_keys(pkcs11::Session& session, const std::string& label);

}  // namespace qpcseal::site
