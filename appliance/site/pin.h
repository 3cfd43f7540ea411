// SPDX-License-Identifier: Apache-2.0
// PINs, from a terminal, an inherited descriptor or a file; never from argv or the environment.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace qpcseal::site {

inline constexpr std::string_view kTerminal = "tty";      // a source that is the terminal
inline constexpr std::string_view kPinPad = "pinpad";     // a source that is the token itself
inline constexpr std::string_view kFilePrefix = "file:";  // of a source that is a file

// `source` is "tty", "file:/absolute/path", or "pinpad": an empty PIN, for the token asks on its own pad,
// which is said on the terminal. `fd` (--pin-fd) goes before it. A file must belong to the user and be 0600
// or 0400. A byte order mark before the PIN and a carriage return behind it are not part of it; Error{Token}
// for other control characters, UTF-16, more lines (but of standard input), and where no PIN can be had;
// Error{Usage} for a source of another form.
enum class MoreLines { Refused, Allowed };  // behind the PIN; Allowed where another PIN follows it
// What Ctrl-C does at the prompt: it ends the process, or is Error{Interrupted}.
enum class AtInterrupt { End, Throw };
SecretBuffer read_pin(const std::string& source, std::optional<int> fd, const std::string& token_label,
                      MoreLines more = MoreLines::Refused, AtInterrupt at_interrupt = AtInterrupt::End);
// Asks twice on /dev/tty; a descriptor has it once, or twice. Error{Usage} when the two differ; Error{Token}
// as above.
SecretBuffer read_new_pin(std::optional<int> fd, const std::string& token_label);

}  // namespace qpcseal::site
