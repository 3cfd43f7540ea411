// SPDX-License-Identifier: Apache-2.0
// A set of models as a host carries it to its cards (FORMAT.md section 2.6): read apart from the sealing
// side.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "device/loader/load.h"

namespace qpcseal::device {

struct LoadedSet {
  std::string name;
  std::vector<std::pair<std::string, Loaded>> models;  // path, in the order of the list
  std::size_t others = 0;                              // files that are no models
};

// Whether `dir` is a folder with a file seal.set.
bool is_set(const std::filesystem::path& dir);

// Checks the list's signature (by the seal key of the first card, where it has one), that every file of the
// list is there and as listed, and that no container is there that is not listed; then loads each model on
// the cards as load() does. With `out` the plain models go there, under their paths. Error{Denied}, and what
// load() throws: one model that does not load is enough.
LoadedSet load_set(const std::filesystem::path& dir, std::span<const Card> cards,
                   const std::optional<std::filesystem::path>& out, Existing existing);

}  // namespace qpcseal::device
