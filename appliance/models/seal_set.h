// SPDX-License-Identifier: Apache-2.0
// encrypt-model of a set: several QPCs and the files beside them, under one signed list (FORMAT.md
// section 2.6).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "appliance/models/seal_model.h"
#include "appliance/seal/set_manifest.h"

namespace qpcseal::models {

struct SealSetOptions {
  std::vector<std::filesystem::path> inputs;  // see files_of_set
  // How each model is sealed, and where the set goes. `qpc` is not used; `reports` must be empty. An empty
  // name: that of the first input.
  SealModelOptions model;
  bool skip_existing = false;  // what an earlier run put into the output folder stays
};

struct SetModel {
  std::string path;
  bool skipped = false;               // an earlier run sealed it
  std::vector<std::string> segments;  // that are sealed
  std::vector<ReadablePart> readable;
};

struct SealSetResult {
  std::filesystem::path output;
  std::string name;
  Sha256Digest manifest_digest{};
  std::vector<SetModel> models;
  std::vector<seal::SetEntry> others;  // copied as they are
};

// All inputs are judged before the first is sealed. seal.set appears last: without it the folder is no set,
// and the same command with `skip_existing` goes on. Error{Io} for a name in the output folder that is taken,
// Error{Usage} for one that `skip_existing` cannot use because it was not made from the input; else as
// seal_model.
SealSetResult seal_set(site::Appliance& appliance, const keys::Mek& mek, const SealSetOptions& options,
                       const seal::Progress& progress);

}  // namespace qpcseal::models
