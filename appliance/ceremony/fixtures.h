// SPDX-License-Identifier: Apache-2.0
// The fixtures of a rehearsal: a temporary appliance with an embedded token, and the MEKs and files that the
// plan's steps expect.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "appliance/ceremony/plan.h"
#include "appliance/site/appliance.h"

namespace qpcseal::ceremony {

// A temporary folder.
class Scratch {
 public:
  explicit Scratch(Random& random);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// An appliance in `root`, with the policy and the trust folder of `home`, named as the plan's. Before any
// module is loaded.
site::Home make_stage(const site::Environment& environment, const Plan& plan, const site::Home& home,
                      const std::filesystem::path& root);

// Error{Denied} unless this is a demonstration (init --insecure-demo) whose genesis no officer accepted: a
// rehearsal makes and destroys keys without asking anybody.
void require_demo_appliance(const audit::State& state);

// Makes MEKs for steps that expect one, all generations up to the one that is named, and backups for those
// that open one; copies the other inputs from `dir` into `stage_folder`. Says what it made. In `plan` the
// digests of what stands in become its own.
std::vector<std::string> set_stage(site::Appliance& appliance, Plan& plan, const std::filesystem::path& dir,
                                   const std::filesystem::path& stage_folder);

}  // namespace qpcseal::ceremony
