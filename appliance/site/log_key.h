// SPDX-License-Identifier: Apache-2.0
// Which of the token's keys is the log's, and how another one takes its place.
//
// A rotation: intent in the log; new pair in the token; result entry with the new key, signed by the old one,
// under a checkpoint that the new key signs; old pair destroyed. The checkpoint on disk decides at every
// moment which key is the log's, so that a run which was cut short leaves one key too many and nothing else;
// the next start destroys it.
#pragma once

#include <filesystem>
#include <string>

#include "pkcs11/session.h"

namespace qpcseal::release {

// The label of the key that signed the log's checkpoint. Where the token has one log key, that one, unasked:
// Log::open tells whether it is right.
std::string find_log_key(pkcs11::Session& session, const std::filesystem::path& log);
// Destroys all log keys but `label`. For a log that was opened with it, and so verified.
void retire_log_keys(pkcs11::Session& session, const std::string& label);

}  // namespace qpcseal::release
