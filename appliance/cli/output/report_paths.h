// SPDX-License-Identifier: Apache-2.0
// The reports that a command line names, also thousands of them by a folder or a list.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/digest.h"

namespace qpcseal::cli {

// Each argument is a report, a folder (all *.report and *.dat files directly in it, by name, numbers by their
// size), or @LIST, a file with the name of a report beside it on each line; empty lines and lines that start
// with # do not count. Error{Usage} for a folder or list without reports, or more than 20000 in all;
// Error{Malformed} for a list that names a file elsewhere.
std::vector<std::filesystem::path> report_paths(const std::vector<std::string>& arguments);
// The SHA-256 of each. Errors as release::read_report().
std::vector<Sha256Digest> report_digests(const std::vector<std::string>& arguments);

}  // namespace qpcseal::cli
