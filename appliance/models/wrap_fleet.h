// SPDX-License-Identifier: Apache-2.0
// wrap-mek for a fleet: each card for itself, in batches. A run that was cut short goes on where it stopped,
// by the log and the files in the output folder.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "appliance/site/appliance.h"
#include "base/file.h"

namespace qpcseal::models {

struct FleetOptions {
  std::vector<std::filesystem::path> reports;
  std::filesystem::path output_folder;  // made when it does not exist
  Existing existing = Existing::Refuse;
};

// The outcome for one report.
struct FleetCard {
  std::string report;  // its file
  std::string dir;     // below the output folder; empty where it was denied, or its files wait
  Bytes ueid;          // empty where nothing could be read
  std::string suite;
  std::uint64_t entry = 0;  // of the release's result in the log
  bool earlier = false;     // an earlier run did it
  std::string old;          // why its report says nothing of the card as it is now; nothing was done for it,
                            // and it has no folder where a later release of the card has its name
  std::string waits;        // why its files, complete in the output folder, do not have their name yet
  std::string fault;        // why it is no report that could be judged
  Findings findings;        // why it was denied
  [[nodiscard]] bool denied() const { return dir.empty() && waits.empty() && old.empty(); }
};

inline constexpr std::size_t kFleetBatch = 512;  // reports under one checkpoint
using FleetProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

// Cards that pass get a folder each (FORMAT.md section 3), the others findings. config.json of all cards is
// written last and keeps its entries of other cards. Each batch is one transaction: intents, wraps, files,
// results. A report whose release is done and whose files exist is left alone; a release that was cut short
// is finished. A report that was served before, and whose challenge has expired since or whose card answered
// a later one, is old. A copy of a report is not judged again. Two verified reports of one card or challenge
// are both denied. A fault of one report or of its output concerns that card alone; Error{Io} where the
// output folder cannot serve any card, or is another MEK's. The log says what an earlier run did: which
// reports were served, and the digests of the wrapped MEKs.
std::vector<FleetCard> wrap_fleet(site::Appliance& appliance, const keys::Mek& mek,
                                  const FleetOptions& options, const FleetProgress& progress);

}  // namespace qpcseal::models
