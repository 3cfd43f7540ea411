// SPDX-License-Identifier: Apache-2.0
// What is to be sealed, as officers see it before they approve: a name and a digest.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "appliance/models/folder_files.h"
#include "base/digest.h"

namespace qpcseal::models {

struct SealInput {
  std::string model;      // the name in the manifest, where no other is given
  Sha256Digest digest{};  // of the file; of a set that of its list, see digest_of_list
};

// Whether these inputs are a set: a folder, or more than one file.
bool is_set(const std::vector<std::filesystem::path>& inputs);

// "model" for "model.qpc", "served" for the folder "served", of several inputs the first one's name.
std::string default_model_name(const std::vector<std::filesystem::path>& inputs);

// Reads all of it. Error{Io}, and for a set that of files_of_set.
SealInput read_seal_input(const std::vector<std::filesystem::path>& inputs);

// SHA-256 of a line for each file, as sha256sum(1) writes it in the folder: digest in hex, two blanks, path,
// line feed; by path, bytewise.
struct ListedDigest {
  std::string path;
  Sha256Digest digest{};
};
Sha256Digest digest_of_list(const std::vector<ListedDigest>& files);

}  // namespace qpcseal::models
