// SPDX-License-Identifier: Apache-2.0
// What `run` and `shell` share: which command a line names, and the PIN that is asked for once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appliance/cli/commands/context.h"
#include "appliance/site/pin.h"
#include "base/secret.h"

namespace qpcseal::cli {

// The command that the words name. Null: none. `run` and `shell` do not run each other.
const CLI::App* named_command(const CLI::App& root, const std::vector<std::string>& words);
// Whether it opens the home's token, and so takes the PIN by --pin-fd. An officer's command asks for another
// PIN.
[[nodiscard]] bool opens_token(const CLI::App& command);

// The home's PIN, asked for when the first command needs it.
class AskedPin {
 public:
  explicit AskedPin(const std::optional<int>& fd, site::AtInterrupt at_interrupt = site::AtInterrupt::End)
      : fd_(fd), at_interrupt_(at_interrupt) {}
  // Null where site.toml names a file: each command reads it itself.
  const SecretBuffer* get();
  // After a token refused: a wrong PIN is never tried again.
  void forget();

 private:
  std::optional<int> fd_;
  site::AtInterrupt at_interrupt_;
  std::optional<SecretBuffer> pin_;
};

}  // namespace qpcseal::cli
