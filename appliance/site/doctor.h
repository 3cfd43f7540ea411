// SPDX-License-Identifier: Apache-2.0
// The abilities of a token, found by trying, and those that this appliance would use.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appliance/keys/signing.h"
#include "appliance/keys/wrap.h"
#include "appliance/site/appliance.h"
#include "pkcs11/gcm.h"

namespace qpcseal::site {

struct Diagnosis {
  std::string module, module_sha256;
  pkcs11::TokenInfo token;
  std::optional<pkcs11::GcmAbility> gcm;
  std::optional<keys::SigningType> signing;
  std::vector<keys::SuiteAbility> suites;
  std::vector<std::string> lacking;   // desired attributes that are not honoured
  std::vector<std::string> accepted;  // by the site's facts
  bool anchor = false;
  std::vector<keys::Leftover> leftovers;  // half-made objects in the token
  std::vector<std::string> faults;        // why it cannot serve; empty: it can
};

// Logs in and tries; makes and destroys throw-away objects. Nothing is logged: no key of ours is touched.
// Without a home (an empty root) nothing is locked. `facts` are for a token without a home; nothing: those of
// the home's log. Error{Denied} where others could change files of the home.
Diagnosis diagnose(const Environment& environment, const Site& site,
                   std::optional<audit::SiteFacts> facts = std::nullopt);

}  // namespace qpcseal::site
