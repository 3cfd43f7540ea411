// SPDX-License-Identifier: Apache-2.0
// The home, where the appliance keeps its state, and site.toml, which differs from machine to machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "appliance/audit/site_facts.h"
#include "base/bytes.h"
#include "base/digest.h"

namespace qpcseal::site {

struct Home {
  std::filesystem::path root;
  [[nodiscard]] std::filesystem::path site() const { return root / "site.toml"; }
  [[nodiscard]] std::filesystem::path policy() const { return root / "policy.toml"; }
  [[nodiscard]] std::filesystem::path officers() const { return root / "officers"; }
  [[nodiscard]] std::filesystem::path trust() const { return root / "trust"; }
  [[nodiscard]] std::filesystem::path collateral() const { return root / "collateral.json"; }
  [[nodiscard]] std::filesystem::path log() const { return root / "log"; }
  [[nodiscard]] std::filesystem::path reserve() const { return log() / "reserve"; }
  [[nodiscard]] std::filesystem::path witness() const { return root / "witness"; }
  [[nodiscard]] std::filesystem::path reports() const { return root / "reports"; }
  [[nodiscard]] std::filesystem::path approvals() const { return root / "approvals"; }
  [[nodiscard]] std::filesystem::path pending() const { return root / "wrapped"; }
  [[nodiscard]] std::filesystem::path lock() const { return root / "lock"; }
  [[nodiscard]] std::filesystem::path tokens() const { return root / "tokens"; }
  [[nodiscard]] std::filesystem::path token_copies() const { return root / "tokens.guard"; }
};

// QPCSEAL_HOME, else /var/lib/qpcseal for the user `qpcseal`, else $XDG_DATA_HOME/qpcseal, else
// ~/.local/share/qpcseal. Error{Usage} when none of them can be named; the path must be absolute.
Home locate_home();
// The same where an appliance lies there; nothing where none does, or none can be named.
std::optional<Home> find_home();
// Whether there is a home that was made without officers (init --insecure-demo), as the first entry of its
// log says. False where the log cannot be read: the command that needs the log reports why.
[[nodiscard]] bool is_demo_home() noexcept;

// Error{Denied} where anybody but root and this user could exchange the home, site.toml, policy, officers,
// log, trust, tokens, or a folder above them. The hint has the commands that mend it.
void check_ownership(const Home& home);

// Whether nothing can be written into the home: a read-only medium, or another user's home.
[[nodiscard]] bool is_read_only(const Home& home);

// Space in the log's folder that is reserved for acts that must work on a full disk: kReserve bytes in the
// file `reserve`.
inline constexpr std::uint64_t kReserve = std::uint64_t{256} << 10;  // bytes
// Makes the reserve where there is none and the disk has enough space. Ignores errors.
void keep_reserve(const Home& home) noexcept;
// Removes the reserve where the disk is nearly full, so that an act that needs little space goes on.
void give_up_reserve(const Home& home) noexcept;

// The place of module and token on this machine. Facts that bear on trust are in the log
// (audit/site_facts.h), and these are checked against them. Strict TOML: unknown or missing keys are
// Error{Malformed}.
struct Site {
  std::string module;  // absolute path
  std::string token_label,
      token_serial;        // to find the token; what it is, its keys say. The serial may be empty
  bool embedded = false;   // SoftHSM with its objects under the home
  std::string pin_source;  // "tty", "pinpad" or "file:PATH"
  // What the module reads and writes beside its own folder: absolute paths. All else is refused to it.
  std::vector<std::string> module_files;

  // A PIN file's path in site.toml is relative to the home, or absolute; here it is absolute.
  static Site read(const std::filesystem::path& path);
  // As it goes into the file: what lies in `home` by its path there.
  [[nodiscard]] std::string text(const Home& home) const;
};

// "{home}" in the module's arguments is the home's path: a moved home takes its token's database with it.
std::string with_home(const std::string& arguments, const Home& home);
std::string without_home(const std::string& arguments, const Home& home);

// The digest that the module's file must have.
Sha256Digest module_digest(const audit::SiteFacts& facts);
// Error{Usage} for facts that no token can have: an unknown attribute, days out of range.
void check_facts(const audit::SiteFacts& facts);

// Names the module's own settings (SoftHSM's configuration) for an embedded token. Before the module is
// loaded. Error{Token} where the home has no folder for tokens.
void prepare_module(const Home& home, const Site& site);

}  // namespace qpcseal::site
