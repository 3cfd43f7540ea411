// SPDX-License-Identifier: Apache-2.0
// What another maker's tool left in its folder: looked at before anything of it is given a name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.h"
#include "encoding/json.h"

namespace qpcseal::vendor {

// The vendor's guide names some outputs of its tool and not all, so the rules are of kind: regular files with
// plain names, with one name each, without set-id bits, at most two folders deep, bounded in number and size,
// and by what one log entry can name. A name that could be a key in hex or base64 is refused, and no refused
// name is ever quoted: the tool had the key.
struct OutputLimits {
  std::size_t files = 256;  // files and folders
  std::uint64_t bytes = 0;  // all files together
};

struct ToolOutput {
  std::string name;  // below the folder, with '/' between folders
  std::uint64_t size = 0;
  std::string sha256;  // hex
};

// All of them, by name, each synced, with mode 0644 (folders 0755). Error{Denied}, with a finding EXP-OUTPUT
// for each thing that is not as it must be, and where there is nothing at all. For a folder that nobody
// writes to any more.
std::vector<ToolOutput> take_outputs(const std::filesystem::path& dir, const OutputLimits& limits);
// Bytes and files in it now, whatever they are, up to the limits, and whether its file system has room left:
// empty, or why the run is to end. What others write there is not the tool's.
std::string over_limits(const std::filesystem::path& dir, const OutputLimits& limits);

encoding::Json as_json(const std::vector<ToolOutput>& outputs);
// SHA-256 and size of what a file holds, however large.
ToolOutput digest_of(const Fd& fd, const std::string& name);
ToolOutput digest_of_file(const std::filesystem::path& path, const std::string& name);

}  // namespace qpcseal::vendor
