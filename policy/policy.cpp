// SPDX-License-Identifier: Apache-2.0
#include "policy/policy.h"

#include <algorithm>
#include <array>

#include "policy/glob.h"

namespace qpcseal::policy {

std::string_view name_of(ElfRule rule) {
  if (rule == ElfRule::WherePossible) return "where possible";
  return rule == ElfRule::HostReadable ? "host-readable" : "whole";
}

namespace {

bool names_references(const DeviceClass& device) {
  const auto named = [](const MeasurementRule& rule) { return !rule.references.empty(); };
  return std::ranges::any_of(device.measurements, named) ||
         std::ranges::any_of(device.submods.value, [&](const SubmodRule& submod) {
           return std::ranges::any_of(submod.measurements, named);
         });
}

}  // namespace

std::span<const std::string_view> operations() {
  static constexpr auto kNames = std::to_array<std::string_view>(
      {"seal",         "release",       "mek-generate",    "mek-rotate",   "mek-backup",     "mek-restore",
       "mek-import",   "mek-drill",     "mek-suspend",     "mek-resume",   "mek-destroy",    "mek-expose",
       "recovery-key", "policy-change", "officers-change", "trust-import", "log-key-rotate", "witness-change",
       "site-change",  "anchor-accept", "clock-correct"});
  return kNames;
}

std::optional<int> Policy::approvals_for(std::string_view operation) const {
  const auto found = approvals.find(std::string(operation));
  if (found == approvals.end()) return std::nullopt;
  return found->second.value;
}

int Policy::greatest_threshold() const {
  int most = 1;
  for (const auto& [operation, count] : approvals) most = std::max(most, count.value);
  return most;
}

bool Policy::is_weak(std::string_view operation) const {
  static constexpr auto kByRequest =
      std::to_array<std::string_view>({"officers-change", "site-change", "clock-correct", "anchor-accept"});
  const auto named = approvals_for(operation);
  if (!named) return false;
  if (std::ranges::find(kByRequest, operation) != kByRequest.end()) return *named < greatest_threshold();
  // A key in the clear, and nobody agrees to it: officers_needed() asks for no fewer than these three.
  if (operation == "mek-expose")
    return *named + approvals_for("seal").value_or(0) + approvals_for("release").value_or(0) == 0;
  const bool signed_file = operation == "policy-change" ||
                           (operation == "trust-import" && std::ranges::any_of(devices, names_references));
  return signed_file && std::max(1, *named) < greatest_threshold();  // a file is signed by somebody
}

const DeviceClass* Policy::device(std::string_view name) const {
  const auto found =
      std::find_if(devices.begin(), devices.end(), [&](const DeviceClass& d) { return d.name == name; });
  return found == devices.end() ? nullptr : &*found;
}

const MekRule* Policy::mek(std::string_view label) const {
  const MekRule* only = nullptr;
  for (const MekRule& mek : meks) {
    const auto& patterns = mek.labels.value;
    const bool matches = std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
      return matches_label(pattern, label);
    });
    if (!matches) continue;
    if (only != nullptr) return nullptr;
    only = &mek;
  }
  return only;
}

}  // namespace qpcseal::policy
