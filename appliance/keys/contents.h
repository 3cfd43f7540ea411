// SPDX-License-Identifier: Apache-2.0
// All objects of a token, by one listing: its MEKs, and half-made objects of runs that were cut short.
#pragma once

#include <string>
#include <vector>

#include "appliance/keys/mek.h"

namespace qpcseal::keys {

inline constexpr std::string_view kProbeLabel = "qpcseal-probe";  // of every throw-away object

// A half-made object: without label and id (a data object: without label and application),
// as SoftHSM leaves one whose making was cut short, or a throw-away object of ours.
struct Leftover {
  pkcs11::Object object;  // its name: "secret key without label and id"
  bool probe = false;     // ours by its label; else nobody's
};

struct TokenContents {
  std::vector<Mek> meks;  // as list_meks()
  std::vector<Leftover> leftovers;
};

// Before this process made any object of its own: session objects would be listed too. Error{Token}.
TokenContents list_contents(pkcs11::Session& session);

}  // namespace qpcseal::keys
