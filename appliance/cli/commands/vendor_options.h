// SPDX-License-Identifier: Apache-2.0
// --format and --tool-timeout, of the commands that can run the vendor's tool.
#pragma once

#include "appliance/cli/commands/context.h"
#include "appliance/vendor/vendor_tool.h"

namespace qpcseal::cli {

struct VendorOptions {
  std::string format{policy::kOwnFormat};
  unsigned seconds = static_cast<unsigned>(vendor::kToolTime.count());

  [[nodiscard]] bool vendor() const { return format == policy::kVendorFormat; }
  [[nodiscard]] std::chrono::seconds time() const { return std::chrono::seconds(seconds); }
};

inline void add_vendor_options(CLI::App& command, VendorOptions& options) {
  command
      .add_option("--format", options.format,
                  "qpcseal (default), or vendor: the vendor's own tool, which gets the key in the clear "
                  "(docs/VENDOR-SDK.md)")
      ->check(CLI::IsMember({"qpcseal", "vendor"}));
  command
      .add_option("--tool-timeout", options.seconds, "Seconds that the vendor's tool may run (default 3600)")
      ->check(CLI::Range(1U, 604800U));
}

// Error{Usage} where an option of our own format's is given with the vendor's.
inline void refuse_with_vendor(const CLI::App& command, std::initializer_list<const char*> options) {
  for (const char* option : options)
    if (command.count(option) > 0)
      throw Error(ErrorKind::Usage, std::string(option) + " is not for --format vendor");
}

}  // namespace qpcseal::cli
