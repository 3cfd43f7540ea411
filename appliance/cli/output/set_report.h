// SPDX-License-Identifier: Apache-2.0
// Sets of models, and what of models stays readable, on screen.
#pragma once

#include <filesystem>
#include <vector>

#include "appliance/cli/output/report.h"
#include "appliance/keys/mek.h"
#include "appliance/models/seal_set.h"

namespace qpcseal::cli {

// Appends what everybody who has the file can read.
void add_readable(Report& report, const std::vector<models::ReadablePart>& parts);

Report render_sealed_set(const models::SealSetResult& set, const keys::Mek& mek);

// Of a file seal.set what it says; of a set's folder also whether the files are those of the list (each model
// by its manifest) and whether the models are bound. Nothing is verified with a key. Error{Malformed}.
Report inspect_set(const std::filesystem::path& path);
// Whether inspect_set() is the one for `path`.
bool is_set_or_its_list(const std::filesystem::path& path);

}  // namespace qpcseal::cli
