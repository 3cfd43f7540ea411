// SPDX-License-Identifier: Apache-2.0
// The files of a folder and of the folders in it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.h"

namespace qpcseal::models {

struct FolderFile {
  std::string path;            // from the folder on, with '/' between its parts
  std::filesystem::path file;  // to open
  bool is_qpc = false;
};

// "model" of "../model/".
std::string own_name(const std::filesystem::path& path);

// All regular files below `dir`, by path, bytewise. Names that begin with a dot are left out. Error{Io} for a
// link or a device, and for more than seal::kMaxSetFiles files.
std::vector<FolderFile> files_below(const std::filesystem::path& dir);

// What `inputs` are: of one folder its files; of several files and folders each under its own name.
// Error{Usage} where two have one path, for a path that no set has, and where nothing is a QPC.
std::vector<FolderFile> files_of_set(const std::vector<std::filesystem::path>& inputs);

// "a" and "a/b" for "a/b/c", the highest first.
std::vector<std::string> folders_above(const std::string& path);

// Error{Malformed} where `file` is of a known kind that is no model: a request, a report, ...
void refuse_other_file(const Fd& file);

}  // namespace qpcseal::models
