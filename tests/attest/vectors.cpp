// SPDX-License-Identifier: Apache-2.0
#include "tests/attest/vectors.h"

#include <cstdlib>
#include <sstream>

#include "base/file.h"

namespace qpcseal::testing {

std::optional<std::filesystem::path> vectors_folder() {
  const char* folder = std::getenv("QPCSEAL_VECTORS");
  if (folder == nullptr || *folder == '\0') return std::nullopt;
  return folder;
}

Bytes read_vector(const std::filesystem::path& folder, const std::string& file) {
  return read_file(folder / file, 1U << 20);
}

std::vector<VectorRow> vector_rows(const std::filesystem::path& folder, const std::string& prefix) {
  const Bytes bytes = read_vector(folder, "MANIFEST.tsv");
  std::istringstream lines{std::string(text_of(bytes))};
  std::vector<VectorRow> out;
  std::string line;
  std::getline(lines, line);  // the head
  while (std::getline(lines, line)) {
    if (!line.starts_with(prefix)) continue;
    out.push_back({line.substr(0, line.find('\t')), line.substr(line.rfind('\t') + 1)});
  }
  return out;
}

}  // namespace qpcseal::testing
