// SPDX-License-Identifier: Apache-2.0
// Models: sealing, and binding sealed ones to cards.
#pragma once

#include <filesystem>

#include "appliance/models/partition_order.h"
#include "appliance/release/transaction.h"
#include "base/file.h"

namespace qpcseal::models {

struct SealModelOptions {
  std::filesystem::path qpc;
  std::filesystem::path output_folder;   // made when it does not exist
  std::vector<release::Report> reports;  // one a partition, in their order; none: unbound
  PartitionOrder order = PartitionOrder::Metadata;
  seal::Mode mode = seal::Mode::Token;
  std::string model_name;  // empty: the file's name without its extension
  std::uint64_t model_version = 0;
  Existing existing = Existing::Refuse;
  unsigned threads = 0;
};

struct SealedModel {
  std::filesystem::path output;
  seal::SealResult sealed;
  std::vector<std::string> segments;    // that were sealed; in a partition as PARTITION/SEGMENT
  std::vector<std::string> partitions;  // their names, in the order of the cards; none: a model of one part
  std::vector<release::Grant> grants;
};

inline constexpr const char* kOutputName = "programqpc.bin";

// Error{Denied} where the policy does not allow it, with findings.
SealedModel seal_model(site::Appliance& appliance, const keys::Mek& mek, const SealModelOptions& options,
                       const seal::Progress& progress);

struct BindModelOptions {
  std::filesystem::path input_folder;    // all sealed containers in it
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
