// Where the appliance keeps its state, and the facts of this machine (site.toml).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace qpcseal::release {

struct Home {
  std::filesystem::path root;
  [[nodiscard]] std::filesystem::path site() const { return root / "site.toml"; }
  [[nodiscard]] std::filesystem::path policy() const { return root / "policy.toml"; }
  [[nodiscard]] std::filesystem::path officers() const { return root / "officers"; }
  [[nodiscard]] std::filesystem::path trust() const { return root / "trust"; }
  [[nodiscard]] std::filesystem::path collateral() const { return root / "collateral.json"; }
  [[nodiscard]] std::filesystem::path log() const { return root / "log"; }
  [[nodiscard]] std::filesystem::path witness() const { return root / "witness"; }
  [[nodiscard]] std::filesystem::path reports() const { return root / "reports"; }
  [[nodiscard]] std::filesystem::path approvals() const { return root / "approvals"; }
  [[nodiscard]] std::filesystem::path pending() const { return root / "wrapped"; }
  [[nodiscard]] std::filesystem::path lock() const { return root / "lock"; }
  [[nodiscard]] std::filesystem::path tokens() const { return root / "tokens"; }
};

// QPCSEAL_HOME, else /var/lib/qpcseal for the user `qpcseal`, else $XDG_DATA_HOME/qpcseal, else
// ~/.local/share/qpcseal. Error{Usage} when none of them can be named; the path must be absolute.
Home locate_home();
// Whether there is a home that was made without officers (init --insecure-demo), as the first entry of its
// log says. False where that cannot be read: whoever needs the log will say why.
[[nodiscard]] bool is_demo_home() noexcept;

// Facts of this machine, apart from what officers review. Strict TOML: unknown or missing keys are
// Error{Malformed}.
struct Site {
  std::string module;            // absolute path
  std::string module_sha256;     // lower-case hex
  std::string module_arguments;  // C_Initialize's pReserved string (NSS), else empty
  std::string token_label, token_serial;
  bool embedded = false;            // SoftHSM with its objects under the home
  bool anchor = false;              // the token keeps a data object with the log's size and root
  std::string pin_source;           // "tty" or "file:/absolute/path"
  std::vector<std::string> accept;  // desired key attributes that this site does without

  static Site read(const std::filesystem::path& path);
  [[nodiscard]] std::string text() const;
};

}  // namespace qpcseal::release
