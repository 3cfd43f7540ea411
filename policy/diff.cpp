// SPDX-License-Identifier: Apache-2.0
#include "policy/diff.h"

#include <map>

namespace qpcseal::policy {

namespace {

using Rules = std::map<std::string, std::string>;

std::string words(std::uint64_t number) { return std::to_string(number); }
std::string words(unsigned number) { return std::to_string(number); }
std::string words(const std::string& text) { return text; }
std::string words(const Bytes& bytes) { return to_hex(bytes); }

template <typename T>
std::string words(const std::vector<T>& list) {
  std::string out;
  for (const T& item : list) out += (out.empty() ? "" : ", ") + words(item);
  return out.empty() ? "none" : out;
}

template <typename T>
std::string words(const std::optional<T>& value) {
  return value ? words(*value) : "none";
}

void add_measurements(Rules& out, const std::string& where, const std::vector<MeasurementRule>& rules) {
  for (const MeasurementRule& rule : rules) {
    const std::string name = where + "measurement '" + rule.name + "': ";
    out[name + "digests"] = words(rule.digests);
    out[name + "references"] = words(rule.references);
    out[name + "least security version"] = std::to_string(rule.min_svn);
  }
}

void add_device(Rules& out, const DeviceClass& device) {
  const std::string where = "class '" + device.name + "': ";
  out[where + "scheme"] = words(device.scheme.value);
  out[where + "roots"] = words(device.roots.value);
  out[where + "oemid"] = words(device.oemid.value);
  out[where + "hwmodel"] = words(device.hwmodel.value);
  out[where + "hwversion"] = words(device.hwversion.value);
  out[where + "oemboot"] = device.oemboot.value ? "required" : "none";
  out[where + "least dbgstat"] = std::to_string(device.min_dbgstat.value);
  out[where + "lifecycle"] = words(device.lifecycle.value);
  out[where + "session keys"] = words(device.session_keys.value);
  out[where + "challenge lifetime"] = std::to_string(device.challenge_lifetime.value) + " seconds";
  out[where + "UEIDs"] = device.ueids.value ? words(*device.ueids.value) : "ANY";
  out[where + "revoked UEIDs"] = words(device.revoked_ueids.value);
  out[where + "most releases to a card"] = std::to_string(device.max_releases.value);
  out[where + "certificate revocation lists"] = device.crl_required.value ? "required" : "not required";
  add_measurements(out, where, device.measurements);
  for (const SubmodRule& submod : device.submods.value) {
    out[where + "submodule '" + submod.name + "'"] = "there";
    add_measurements(out, where + "submodule '" + submod.name + "' ", submod.measurements);
  }
}

void add_mek(Rules& out, const MekRule& mek) {
  const std::string where = "keys " + words(mek.labels.value) + ": ";
  out[where + "classes of cards"] = words(mek.devices.value);
  out[where + "modes"] = words(mek.modes.value);
  out[where + "formats"] = words(mek.formats.value);
  out[where + "wrap suites"] = words(mek.suites.value);
  out[where + "further segments"] = words(mek.segments.value);
  out[where + "ELF files"] = std::string(name_of(mek.elf.value));
  out[where + "readable ELF sections"] =
      mek.elf.value == ElfRule::Whole ? "none" : words(mek.elf_sections.value);
  out[where + "most releases"] = std::to_string(mek.max_releases.value);
  out[where + "most encryptions"] = std::to_string(mek.max_encryptions.value);
}

Rules rules_of(const Policy& policy) {
  Rules out;
  out["appliance"] = policy.appliance.value == kAnyAppliance ? "ANY" : policy.appliance.value;
  out["serial"] = std::to_string(policy.serial.value);
  out["collateral bundle"] = policy.collateral_required.value ? "required" : "not required";
  out["expires"] = format_time(policy.expires.value);
  for (const DeviceClass& device : policy.devices) add_device(out, device);
  for (const MekRule& mek : policy.meks) add_mek(out, mek);
  for (const auto& [operation, count] : policy.approvals)
    out["officers for '" + operation + "'"] = std::to_string(count.value);
  return out;
}

std::optional<std::string> at(const Rules& rules, const std::string& name) {
  const auto found = rules.find(name);
  return found == rules.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

std::vector<Change> diff(const Policy& before, const Policy& after) {
  const Rules old = rules_of(before), fresh = rules_of(after);
  Rules all = old;
  all.insert(fresh.begin(), fresh.end());
  std::vector<Change> out;
  for (const auto& [name, value] : all) {
    const auto was = at(old, name), is = at(fresh, name);
    if (was != is) out.push_back({name, was, is});
  }
  return out;
}

}  // namespace qpcseal::policy
