// SPDX-License-Identifier: Apache-2.0
// replace-mek: puts new wrapped MEKs into sealed containers, without a token. Where this machine has a home,
// its log must have the releases.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "appliance/models/known_releases.h"
#include "appliance/models/sealed_files.h"

namespace qpcseal::models {

struct ReplaceMekOptions {
  std::filesystem::path sealed;                // a container, or a folder of containers
  std::vector<std::filesystem::path> wrapped;  // see read_wrapped
  std::filesystem::path output_folder;         // empty: in place
  Existing existing = Existing::Refuse;
};

struct Replaced {
  std::filesystem::path output;
  std::vector<std::string> cards;  // ueids in hex, one a partition
};

struct ReplaceResult {
  std::vector<Replaced> outputs;
  bool log_checked = false;
};

// A container with as many partitions as there are wrapped MEKs is written into the output folder. For a
// container without partitions and several wrapped MEKs, each card gets a folder with its own container. All
// outputs appear together; in place, each container is changed for itself.
ReplaceResult replace_meks(const ReplaceMekOptions& options, const std::optional<KnownReleases>& known);

}  // namespace qpcseal::models
