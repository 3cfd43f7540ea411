// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/step_rules.h"

#include <algorithm>
#include <array>

namespace qpcseal::ceremony {

namespace {

constexpr ArgumentRule kMek{"mek", ArgumentKind::Mek};
constexpr ArgumentRule kOutput{"output", ArgumentKind::File};
constexpr ArgumentRule kBackup{"backup", ArgumentKind::File};
constexpr ArgumentRule kBackupDigest{"backup_sha256", ArgumentKind::Digest};

const std::array<ActRule, 11>& rules() {
  static const std::array<ActRule, 11> kRules = {{
      {"mek-generate", true, {kMek}},
      {"mek-rotate", true, {kMek}},
      {"mek-suspend", true, {kMek}},
      {"mek-resume", true, {kMek}},
      {"mek-destroy",
       true,
       {kMek, {"transferee", ArgumentKind::File, true}, {"transferee_sha256", ArgumentKind::Digest, true}}},
      {"mek-backup",
       true,
       {kMek, {"recovery_key", ArgumentKind::File}, {"recovery_key_sha256", ArgumentKind::Digest}, kOutput}},
      {"mek-restore",
       true,
       {kMek,
        kBackup,
        kBackupDigest,
        {"retirement", ArgumentKind::File, true},
        {"retirement_sha256", ArgumentKind::Digest, true}}},
      {"mek-drill", true, {kMek, kBackup, kBackupDigest, {"days", ArgumentKind::Days}, kOutput}},
      {"recovery-key", true, {kOutput}},
      {"checkpoint", false, {kOutput}},
      {"manual",
       false,
       {{"text", ArgumentKind::Text},
        {"recovery_key", ArgumentKind::File, true},
        {"recovery_key_sha256", ArgumentKind::Digest, true},
        {"backup", ArgumentKind::File, true},
        {"backup_sha256", ArgumentKind::Digest, true}}},
  }};
  return kRules;
}

}  // namespace

const ActRule* act_rule(std::string_view name) {
  const auto found = std::ranges::find(rules(), name, &ActRule::name);
  return found == rules().end() ? nullptr : &*found;
}

std::vector<std::string> act_names() {
  std::vector<std::string> out;
  for (const ActRule& rule : rules()) out.emplace_back(rule.name);
  return out;
}

}  // namespace qpcseal::ceremony
