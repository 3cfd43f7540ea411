// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/seal_input.h"

#include "base/file_digest.h"

namespace qpcseal::models {

namespace fs = std::filesystem;

bool is_set(const std::vector<fs::path>& inputs) {
  return inputs.size() > 1 || fs::is_directory(inputs.front());
}

std::string default_model_name(const std::vector<fs::path>& inputs) {
  return is_set(inputs) ? own_name(inputs.front()) : inputs.front().stem().string();
}

Sha256Digest digest_of_list(const std::vector<ListedDigest>& files) {
  Sha256 hash;
  for (const ListedDigest& file : files) hash.update(view(to_hex(file.digest) + "  " + file.path + "\n"));
  return hash.finish();
}

SealInput read_seal_input(const std::vector<fs::path>& inputs) {
  const std::string model = default_model_name(inputs);
  if (!is_set(inputs)) return {model, file_digest(open_to_read(inputs.front()))};
  std::vector<ListedDigest> files;
  for (const FolderFile& file : files_of_set(inputs))
    files.push_back({file.path, file_digest(open_to_read(file.file))});
  return {model, digest_of_list(files)};
}

}  // namespace qpcseal::models
