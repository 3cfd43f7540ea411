// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <sstream>

#include "base/text.h"
#include "policy/officers_needed.h"

namespace qpcseal::policy {
namespace {

std::string join_hex(const std::vector<Bytes>& list) {
  std::vector<std::string> words;
  for (const Bytes& bytes : list) words.push_back(to_hex(bytes));
  return join(words);
}

std::string join_numbers(const std::vector<unsigned>& list) {
  std::vector<std::string> words;
  for (const unsigned number : list) words.push_back(std::to_string(number));
  return join(words);
}

const char* dbgstat_words(unsigned dbgstat) {
  switch (dbgstat) {
    case 0:
      return "debug may be enabled (0)";
    case 1:
      return "debug disabled now (1) or better";
    case 2:
      return "debug disabled since boot (2) or better";
    case 3:
      return "debug disabled permanently (3) or better";
    default:
      return "debug disabled fully and permanently (4)";
  }
}

std::string duration(std::int64_t seconds) {
  if (seconds % 86400 == 0) return std::to_string(seconds / 86400) + " days";
  if (seconds % 3600 == 0) return std::to_string(seconds / 3600) + " hours";
  return std::to_string(seconds / 60) + " minutes";
}

void show_measurements(std::ostringstream& out, const std::vector<MeasurementRule>& rules,
                       const char* indent) {
  for (const MeasurementRule& rule : rules) {
    out << indent << rule.name << ", SVN " << rule.min_svn << " or higher, one of:\n";
    for (const Bytes& digest : rule.digests) out << indent << "  " << to_hex(digest) << "\n";
    for (const std::string& name : rule.references)
      out << indent << "  what the collateral bundle calls '" << name << "'\n";
  }
}

std::string hardware_words(const DeviceClass& device) {
  std::ostringstream out;
  out << "  its maker is " << (device.oemid.value ? std::to_string(*device.oemid.value) : "NOT CLAIMED")
      << ", its model " << (device.hwmodel.value ? to_hex(*device.hwmodel.value) : "NOT CLAIMED")
      << ", its version " << device.hwversion.value.value_or("NOT CLAIMED") << "\n"
      << (device.oemboot.value ? "  it booted only what its maker signed, "
                               : "  what it booted is NOT CLAIMED, ")
      << dbgstat_words(device.min_dbgstat.value) << ", and its lifecycle is "
      << (device.lifecycle.value ? "one of: " + join(*device.lifecycle.value) : "NOT CLAIMED") << "\n";
  return out.str();
}

void show_device(std::ostringstream& out, const DeviceClass& device) {
  out << "\nA card is of class '" << device.name << "' when\n"
      << "  its evidence is of scheme " << device.scheme.value
      << " and its path ends at a root with SHA-256\n"
      << "    " << join_hex(device.roots.value) << "\n"
      << hardware_words(device) << "  its session key is one of: " << join(device.session_keys.value) << "\n"
      << "  it answers a challenge less than " << duration(device.challenge_lifetime.value) << " old\n"
      << "  its UEID is " << (device.ueids.value ? "one of: " + join_hex(*device.ueids.value) : "ANY") << "\n"
      << "  revoked UEIDs: "
      << (device.revoked_ueids.value.empty() ? "none" : join_hex(device.revoked_ueids.value)) << "\n"
      << "  it gets keys at most " << device.max_releases.value << " times\n"
      << "  certificate revocation lists are " << (device.crl_required.value ? "required" : "NOT required")
      << "\n"
      << "  it measured exactly\n";
  show_measurements(out, device.measurements, "    ");
  if (device.submods.value.empty()) out << "  it has no submodules\n";
  for (const SubmodRule& submod : device.submods.value) {
    out << "  its submodule '" << submod.name << "' measured exactly\n";
    show_measurements(out, submod.measurements, "    ");
  }
}

std::string elf_words(const MekRule& mek) {
  if (mek.elf.value == ElfRule::Whole) return "  leave nothing of an ELF file readable\n";
  return "  leave of an ELF file the headers and these sections readable: " + join(mek.elf_sections.value) +
         (mek.elf.value == ElfRule::HostReadable ? "; a network.elf without them is refused\n" : "\n");
}

void show_mek(std::ostringstream& out, const MekRule& mek) {
  out << "\nKeys labelled " << join(mek.labels.value) << "\n"
      << "  go to cards of class: " << join(mek.devices.value) << ", at most " << mek.max_releases.value
      << " times\n"
      << "  in format: " << join(mek.formats.value)
      << (std::ranges::find(mek.formats.value, kVendorFormat) == mek.formats.value.end()
              ? "\n"
              : ", whose tool gets them IN THE CLEAR\n")
      << "  wrapped by suite: " << join_numbers(mek.suites.value) << "\n"
      << "  seal network.elf, constants.bin, opstatsdesc.bin"
      << (mek.segments.value.empty() ? "" : ", " + join(mek.segments.value))
      << " (and NAME.crc of each) in mode: " << join(mek.modes.value) << "\n"
      << elf_words(mek) << "  encrypt at most " << mek.max_encryptions.value << " times\n";
}

}  // namespace

std::string show(const Policy& policy) {
  std::ostringstream out;
  out << "Policy number " << policy.serial.value << ", valid until " << format_time(policy.expires.value)
      << ".\nIt is for "
      << (policy.appliance.value == kAnyAppliance ? "ANY appliance"
                                                  : "the appliance '" + policy.appliance.value + "' alone")
      << ".\nA release "
      << (policy.collateral_required.value ? "needs a fresh collateral bundle" : "needs no collateral bundle")
      << ".\n";
  for (const DeviceClass& device : policy.devices) show_device(out, device);
  for (const MekRule& mek : policy.meks) show_mek(out, mek);
  out << "\nOfficers who must agree:\n";
  for (const auto& [operation, count] : policy.approvals)
    out << "  " << operation << ": " << officers_needed(policy, operation).value_or(count.value) << "\n";
  out << "  anything else: not allowed\n";
  return out.str();
}

}  // namespace qpcseal::policy
