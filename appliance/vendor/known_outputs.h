// SPDX-License-Identifier: Apache-2.0
// What the vendor's tool made behind this appliance's gate, as the log tells it: what it did not make here is
// not bound here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "appliance/audit/read.h"
#include "appliance/vendor/outputs.h"

namespace qpcseal::vendor {

// One run that the log calls done.
struct KnownRun {
  std::uint64_t entry = 0;  // its result
  std::string mek_id;       // hex
  // Of the cards that its files are for, hex. A folder that was bound further has those of the runs before,
  // too, as far as their files are still in it.
  std::set<std::string> ueids;
  std::set<std::string> files;  // SHA-256, hex
};

class KnownOutputs {
 public:
  // Reads the whole log.
  explicit KnownOutputs(const audit::LogCopy& log);
  // Error{Denied} unless each file of the folder, or the one file, was made by some run.
  void require_known(const std::filesystem::path& place) const;
  // The runs that made all files of the folder, or the one file: at least one. Two runs may have made the
  // same files, also under two MEKs. Error{Denied}.
  [[nodiscard]] std::vector<KnownRun> runs_of(const std::filesystem::path& place) const;

 private:
  // SHA-256, hex, of each file of the folder, or of the one file. Errors as require_known().
  [[nodiscard]] std::vector<std::string> known_digests(const std::filesystem::path& place) const;
  void add(KnownRun run, bool bound_further);

  std::vector<KnownRun> runs_;  // in the log's order
  std::map<std::string, std::vector<std::size_t>>
      first_;  // by SHA-256: the first run of each MEK that made it
};

// The files in a folder, or the one file, at most three folders deep: names relative to it. Error{Io} for
// links and other things that are no files.
std::vector<std::string> files_in(const std::filesystem::path& place);

}  // namespace qpcseal::vendor
