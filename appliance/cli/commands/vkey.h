// SPDX-License-Identifier: Apache-2.0
// Verification keys on the command line.
#pragma once

#include <string>

namespace qpcseal::cli {

// A key as it was given, name+id+key, or the one that a file of that name holds in one line. Error{Malformed}
// for a file with more in it; Error{Io} where it is neither a key nor a file.
std::string vkey_text(const std::string& key_or_file);

}  // namespace qpcseal::cli
