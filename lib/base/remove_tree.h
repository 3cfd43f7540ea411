// SPDX-License-Identifier: Apache-2.0
// Removes folders that another maker's program filled.
#pragma once

#include <filesystem>

namespace qpcseal {

// Removes a folder and all that is in it, whatever modes its folders have; follows no link. For one that
// nobody writes to any more. Whether it is gone.
bool remove_tree(const std::filesystem::path& dir) noexcept;

}  // namespace qpcseal
