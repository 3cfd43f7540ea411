// SPDX-License-Identifier: Apache-2.0
// Sealing one model as an act of the log.
#pragma once

#include <functional>

#include "appliance/models/seal_plan.h"

namespace qpcseal::models {

// Asks for the officers' approval of sealing `model`, whose content has this digest (see seal_input.h).
// Returns the intent's members that follow from it: `approval` and `input_sha256`. An empty object where the
// policy asks for no officer; `digest` is not called then, for it reads the whole input. Throws what
// Appliance::approve throws.
encoding::Json approve_seal(site::Appliance& appliance, const keys::Mek& mek, const std::string& model,
                            const std::function<Sha256Digest()>& digest);

// Seals into `output`, an empty file that has no name yet, between the intent `seal` and its result.
// `under` has the intent's further members: those of approve_seal(), or the `set` that the model is of.
// Error{Io} where the input was written to since it was planned.
seal::NestedResult seal_logged(site::Appliance& appliance, const keys::Mek& mek, const SealPlan& plan,
                               const encoding::Json& under, const Fd& output, const seal::Progress& progress);

// A sealed container as the log names it.
encoding::Json container_json(const seal::SealResult& sealed);

}  // namespace qpcseal::models
