// SPDX-License-Identifier: Apache-2.0
// The acts of a plan's steps, and their outputs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "appliance/ceremony/history.h"
#include "appliance/ceremony/plan.h"
#include "appliance/site/appliance.h"

namespace qpcseal::ceremony {

// Carries the step's act out in the appliance.
void carry_out(site::Appliance& appliance, const Step& step, const std::filesystem::path& dir);

// Called by the appliance before it acts: Error{Denied} unless `operation` is the step's, on the key that the
// plan names, with files of the digests that it names. `parameters` come from the bytes that the act uses.
void expect_planned(const Step& step, const std::string& operation, const encoding::Json& parameters);

// The SHA-256, hex, of the file at the output's place, where it is what this attempt's act wrote: of the
// digest that the log has; after a run that was killed, the one that the act's intent announced; a checkpoint
// of this log, with the attempt's beginning in it; a drill's receipt. Nothing for any other file.
std::optional<std::string> digest_of_output(const site::Appliance& appliance, const Step& step,
                                            const Attempt& attempt, const std::filesystem::path& path);

}  // namespace qpcseal::ceremony
