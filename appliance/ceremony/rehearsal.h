// SPDX-License-Identifier: Apache-2.0
// The record of a rehearsal, with which a run is compared.
#pragma once

#include <optional>
#include <string>

#include "appliance/audit/entry.h"
#include "appliance/ceremony/ceremony_inputs.h"
#include "appliance/site/home.h"

namespace qpcseal::ceremony {

inline constexpr const char* kRehearsalExtension = ".rehearsal";  // as the home keeps it

struct Rehearsal {
  encoding::Json record;
  std::string text, sha256;
};

// The one that the inputs name. Error{Denied} where the plan wants one and there is none, and for one that
// was of another plan or did not come to its end; Error{Malformed} for what is no whole record; Error{Io}.
std::optional<Rehearsal> given_rehearsal(const CeremonyInputs& inputs);
// The same. Error{Denied} too where the token of then was of another kind.
std::optional<Rehearsal> expect_rehearsal(const CeremonyInputs& inputs, const encoding::Json& environment);
// The one that the ceremony began with: given again, or as it was kept. Nothing where it began without, or it
// was not kept. Error{Denied} for another one.
std::optional<Rehearsal> begun_with(const site::Home& home, const CeremonyInputs& inputs,
                                    const encoding::Json& begin);

}  // namespace qpcseal::ceremony
