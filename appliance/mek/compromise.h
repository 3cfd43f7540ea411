// SPDX-License-Identifier: Apache-2.0
// Plans for emergencies: ordered commands, computed from the log. Nothing is changed.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "appliance/audit/read.h"

namespace qpcseal::mek {

// A container that was sealed under the MEK.
struct HeldContainer {
  std::string seal_id;  // hex
  std::string model;
  std::uint64_t version = 0;
  UnixTime sealed = 0;
  std::uint64_t entry = 0;  // of the seal's result in the log
  std::string again;        // a newer generation that the same model was sealed under since; else empty
};

// A model that the vendor's tool encrypted under the MEK (format vendor).
struct ToolModel {
  std::string model;  // the name of its file
  std::string model_sha256;
  UnixTime encrypted = 0;
  std::uint64_t entry = 0;  // of the run's result in the log
  std::string again;  // a newer generation that the tool encrypted the same model under since; else empty
};

// A card that got the MEK, or may have got it. It holds the MEK until it is reset. The log knows of a reset
// only by the session key of a later report.
struct HeldCard {
  std::string ueid;                     // hex
  std::string host;                     // of the last release; may be empty
  std::optional<std::uint64_t> device;  // likewise
  std::uint64_t releases = 0;
  UnixTime last = 0;
  std::uint64_t entry = 0;           // of the last release's result, or of its intent
  std::set<std::string> containers;  // seal ids that were bound to it
  bool again = false;                // it got a newer generation since
  bool reset = false;                // it has had another session key since
  bool unsettled = false;            // of a release to it the log has no result
  bool by_tool = false;              // the vendor's tool wrapped the MEK for it, in its last release
};

struct Step {
  std::string what;
  std::vector<std::string> commands;  // words in capitals are for the reader to fill in
};

struct CompromisePlan {
  audit::MekHistory mek;
  std::string successor;  // label; empty: not rotated yet
  std::vector<HeldContainer> containers;
  std::vector<ToolModel> tool_models;
  std::vector<HeldCard> cards;
  std::uint64_t backups = 0;  // that were begun
  std::vector<Step> steps;
};

// For the MEK that `reference` (a label, or a name with one generation) names in the log. Error{Usage} where
// it names none or several.
CompromisePlan plan_compromise(const audit::LogCopy& log, const std::string& reference);

// What to do about all that the plan names, in its order; for compromise.cpp alone. `officers`: there are
// some, and they may have to agree.
std::vector<Step> compromise_steps(const CompromisePlan& plan, bool officers);

}  // namespace qpcseal::mek
