// SPDX-License-Identifier: Apache-2.0
// Makes an appliance: token, keys, log and home, once.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "appliance/site/appliance.h"
#include "pkcs11/token_choice.h"

namespace qpcseal::site {

struct InitOptions {
  std::string module;            // absolute path; empty with `embedded`: SoftHSM2 where Debian puts it
  std::string module_arguments;  // C_Initialize's pReserved string
  pkcs11::TokenChoice token;     // with `embedded` its label alone, by default "qpcseal"
  bool embedded = false;
  std::string appliance_id;
  std::filesystem::path officers, policy, trust;         // officers may be empty with insecure_demo
  std::vector<std::filesystem::path> policy_signatures;  // by officers, unless insecure_demo
  std::string pin_source = "tty";
  std::vector<std::string> accept;               // desired key attributes that the token may lack
  std::uint64_t clock_days = audit::kClockDays;  // site_facts.h
  bool insecure_demo = false;
  std::vector<std::string> module_files;  // Site
};

struct InitResult {
  std::string log_key;  // vkey text
  Bytes seal_key;       // SubjectPublicKeyInfo
  std::string genesis;  // SHA-256 of the genesis entry's line, hex
  pkcs11::TokenInfo token;
  std::vector<std::string> lacking;  // desired key attributes that the token does not honour, all accepted
  bool anchor = false;
  std::string image;  // root hash in the site's facts, hex; empty: no image ran
};

// Error{Usage}, Error{Io} where the home exists, Error{Token} where the token holds our keys already or lacks
// what is needed: it asks all that doctor asks before it makes a key. What it made, in the home and in the
// token, is undone when it fails; after a kill undo_init() (unfinished_init.h) does it.
InitResult init(const Environment& environment, const InitOptions& options);

// Where SoftHSM2 is on this machine; Error{Token} when it is not.
std::string find_softhsm();

}  // namespace qpcseal::site
