// SPDX-License-Identifier: Apache-2.0
// What `doctor` finds in a token: its abilities, found by trying, those that this appliance would use, and
// the keys that the log names and the token lacks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appliance/keys/signing.h"
#include "appliance/keys/wrap.h"
#include "appliance/site/appliance.h"
#include "appliance/site/health.h"
#include "pkcs11/gcm.h"
#include "pkcs11/token_choice.h"

namespace qpcseal::site {

struct Subject {
  std::string module, module_sha256;
  pkcs11::TokenInfo token;
};

struct Diagnosis : Subject {
  bool probed = true;  // false: nothing was tried, for a reason in `faults`
  std::optional<pkcs11::GcmAbility> gcm;
  std::optional<keys::SigningType> signing;
  std::vector<keys::SuiteAbility> suites;
  std::vector<std::string> lacking;   // desired attributes that are not honoured
  std::vector<std::string> accepted;  // by the site's facts
  bool anchor = false;
  std::vector<keys::Leftover> leftovers;  // half-made objects in the token
  std::vector<std::string> faults;        // why it cannot serve; empty: it can
  std::vector<HealthCheck> checks;        // this appliance's keys in it (token_health.h); none without a home
};

// Where to look: the home's own token, by its site.toml and log; or, without a root in Environment::home, one
// that is to become a home's: nothing is locked.
struct DoctorTarget {
  Site site;
  pkcs11::TokenChoice token;              // empty without a module of one's own: the site's
  std::optional<audit::SiteFacts> facts;  // nothing: those of the home's log
};

// Logs in and tries; makes and destroys throw-away objects. Nothing is logged: no key of ours is touched.
// Error{Denied} where others could change files of the home.
Diagnosis diagnose(const Environment& environment, const DoctorTarget& target);

// The module's tokens, without a PIN. Errors as above.
std::vector<pkcs11::ListedToken> list_tokens(const Environment& environment, const DoctorTarget& target);

// What `session` can do and why it cannot serve, where the site's facts accept that these attributes lack.
// Makes and destroys throw-away objects.
Diagnosis probe(pkcs11::Session& session, const std::vector<std::string>& accepted);

}  // namespace qpcseal::site
