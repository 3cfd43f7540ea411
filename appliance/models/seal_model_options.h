// SPDX-License-Identifier: Apache-2.0
// What is to be sealed and how, as a person asks for it; and what of it stays readable.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

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
  bool incomplete = false;  // also what no card can load
};

// What of a model stays readable for everybody who has the file.
struct ReadablePart {
  std::string segment;  // in a partition as PARTITION/SEGMENT
  bool sealed = false;  // it is, but for the ELF headers and `sections`; else all of it is clear
  std::vector<std::string> sections;  // sealed: of the ELF file; empty: nothing of it is readable
  bool symbol_names = false;          // sealed: the names of its symbols are readable too
  std::string why_whole;              // sealed, nothing readable: why a host cannot read what it may need
};

}  // namespace qpcseal::models
