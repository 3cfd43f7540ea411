// SPDX-License-Identifier: Apache-2.0
#include "tests/attest/vectors.h"

#include <cstdlib>
#include <sstream>

#include "base/file.h"

namespace qpcseal::testing {

std::optional<std::filesystem::path> vectors_folder() {
  const char* dir = std::getenv("QPCSEAL_VECTORS");
  if (dir == nullptr || *dir == '\0') return std::nullopt;
  return dir;
}

Bytes read_vector(const std::filesystem::path& dir, const std::string& file) {
  return read_file(dir / file, 1U << 20);
}

std::vector<VectorRow> vector_rows(const std::filesystem::path& dir, const std::string& prefix) {
  const Bytes bytes = read_vector(dir, "MANIFEST.tsv");
  std::istringstream lines{std::string(text_view(bytes))};
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
