// SPDX-License-Identifier: Apache-2.0
// What a restored home knows of the machine that it lies on.
#pragma once

#include <string>
#include <vector>

#include "appliance/audit/state.h"
#include "appliance/site/home.h"

namespace qpcseal::site {

// What site.toml says of a machine that has none; empty: the default.
struct MachineOptions {
  std::string module, token_label, token_serial, pin_source;
  std::vector<std::string> module_files;
  bool embedded = false;  // excludes `module`
};

// The machine's own site.toml where there is one; else a new one, by the options. Without `module` and
// `embedded` it is the embedded token's where the log's token is SoftHSM's, and either the home has the
// folder of an embedded token or the log pins this machine's SoftHSM. Error{Usage} where options are missing,
// given beside a site.toml, or contradict the log's token; Error{Token} where SoftHSM is not installed.
// Whether the module is the one in the log is asked whenever it is loaded: after an upgrade of the module the
// officers settle it in the restored home.
Site site_for(const Home& home, const audit::State& state, const MachineOptions& options);
// Of the module that the log pins, hex.
std::string pinned_sha256(const audit::State& state);
// Of the file that the site names as its module, hex; empty where it cannot be read.
std::string module_sha256(const Site& site);

}  // namespace qpcseal::site
