// SPDX-License-Identifier: Apache-2.0
// Whether what lies in an output folder was made from an input: what --skip-existing rests on.
#pragma once

#include <string>

#include "appliance/models/seal_plan.h"
#include "appliance/models/sealed_files.h"

namespace qpcseal::models {

// Why `sealed` is not what sealing by `plan` would make again; empty: it is. Compared are name, version, MEK,
// the rows, what of them is sealed and clear, and the content of the clear ones. Sealed content nobody can
// compare: there the input's time of change must not be later than the sealing.
std::string differs_from_plan(const SealedFile& sealed, const SealPlan& plan, const Bytes& mek_id);

}  // namespace qpcseal::models
