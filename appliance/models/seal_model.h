// SPDX-License-Identifier: Apache-2.0
// Models: sealing, and binding sealed ones to cards.
#pragma once

#include <filesystem>

#include "appliance/models/seal_model_options.h"

namespace qpcseal::models {

struct SealedModel {
  std::filesystem::path output;
  seal::SealResult sealed;
  std::vector<std::string> segments;  // that were sealed; in a partition as PARTITION/SEGMENT
  std::vector<ReadablePart> readable;
  std::vector<std::string> partitions;  // their names, in the order of the cards; none: a model of one part
  std::vector<release::Grant> grants;
};

inline constexpr const char* kOutputName = "programqpc.bin";

// Error{Denied} where the policy does not allow it, with findings; Error{Malformed} for what no card can
// load.
SealedModel seal_model(site::Appliance& appliance, const keys::Mek& mek, const SealModelOptions& options,
                       const seal::Progress& progress);

struct BindModelOptions {
  std::filesystem::path input_folder;    // all sealed containers below it
  std::filesystem::path output_folder;   // empty: in place
  std::vector<release::Report> reports;  // one a partition, in their order
  bool rebind = false;                   // containers that are bound already
  Existing existing = Existing::Refuse;
};
struct BoundModel {
  std::vector<std::filesystem::path> outputs;
  std::vector<release::Grant> grants;
};

// Binds every sealed container of the folder to the same cards; each must have as many partitions as there
// are reports.
BoundModel bind_model(site::Appliance& appliance, const keys::Mek& mek, const BindModelOptions& options);

}  // namespace qpcseal::models
