// SPDX-License-Identifier: Apache-2.0
// The published vectors, outside of this tree: the folder that QPCSEAL_VECTORS names, with its MANIFEST.tsv.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace qpcseal::testing {

struct VectorRow {
  std::string file;      // relative to the folder
  std::string expected;  // the manifest's last column, in words
};

// Nothing where the variable is not set: such tests skip.
std::optional<std::filesystem::path> vectors_folder();
// The manifest's rows whose file starts with `prefix`.
std::vector<VectorRow> vector_rows(const std::filesystem::path& dir, const std::string& prefix);
Bytes read_vector(const std::filesystem::path& dir, const std::string& file);

}  // namespace qpcseal::testing
