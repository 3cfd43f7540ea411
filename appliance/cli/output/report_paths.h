// SPDX-License-Identifier: Apache-2.0
// The reports that a command line names, also thousands of them by a folder or a list.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "appliance/release/verdict.h"
#include "base/digest.h"

namespace qpcseal::cli {

// Each argument is a report, a folder (all *.report and *.dat files directly in it, by name, numbers by their
// size), or @LIST, a file with the name of a report beside it on each line; empty lines and lines that start
// with # do not count. Error{Usage} for a folder or list without reports, or more than 20000 in all;
// Error{Malformed} for a list that names a file elsewhere.
std::vector<std::filesystem::path> report_paths(const std::vector<std::string>& arguments);
// Errors as release::read_report(); of any form where the home's policy names a verifier of the site's.
std::vector<release::Report> read_reports(const std::vector<std::filesystem::path>& paths);
// The SHA-256 of each.
std::vector<Sha256Digest> report_digests(const std::vector<std::string>& arguments);

// Of the folders among the arguments: the requests (*.request) that have no report (*.report) beside them.
std::vector<std::string> requests_without_report(const std::vector<std::string>& arguments);

}  // namespace qpcseal::cli
