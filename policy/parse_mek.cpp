// SPDX-License-Identifier: Apache-2.0
#include "policy/parse_mek.h"

#include <algorithm>

#include "base/nearest.h"
#include "policy/parse_rules.h"

namespace qpcseal::policy {
namespace {

void check_segments(encoding::TomlReader& reader, const std::vector<std::string>& segments) {
  for (const std::string& name : segments) {
    const bool bad = name.size() > 255 || name.find('/') != std::string::npos || name.starts_with("seal.") ||
                     name.starts_with("MEK.") ||
                     std::ranges::find(kAlwaysSealed, name) != std::end(kAlwaysSealed);
    if (bad) reader.refuse(reader.line_of_key("segments"), "'" + name + "' is no further segment's name");
  }
}

// Neither need be written.
void read_elf_rules(encoding::TomlReader& reader, MekRule& out) {
  out.elf = {ElfRule::WherePossible, out.line};
  if (reader.has("elf"))
    out.elf = rule(reader, "elf",
                   known_word(reader, "elf", {"host-readable", "whole"}) == "whole" ? ElfRule::Whole
                                                                                    : ElfRule::HostReadable);
  out.elf_sections = {{"metadata_fb", "metadata"}, out.line};
  if (!reader.has("elf_sections")) return;
  if (out.elf.value == ElfRule::Whole)
    reader.refuse(reader.line_of_key("elf_sections"), "'elf_sections' beside elf = \"whole\"");
  out.elf_sections = rule(reader, "elf_sections", reader.texts("elf_sections"));
}

}  // namespace

MekRule read_mek(encoding::TomlReader& reader, const Policy& policy) {
  MekRule out;
  out.line = reader.line();
  out.labels = rule(reader, "labels", reader.texts("labels"));
  out.devices = rule(reader, "devices", reader.texts("devices"));
  for (const std::string& name : out.devices.value) {
    if (policy.device(name) != nullptr) continue;
    std::vector<std::string> known;
    for (const DeviceClass& device : policy.devices) known.push_back(device.name);
    reader.refuse(out.devices.line, "there is no device class '" + name + "'", did_you_mean(name, known));
  }
  out.modes = rule(reader, "modes", known_words(reader, "modes", {"token", "envelope"}));
  out.formats = {{std::string(kOwnFormat)}, out.line};
  if (reader.has("formats"))
    out.formats = rule(reader, "formats", known_words(reader, "formats", {kOwnFormat, kVendorFormat}));
  out.suites.line = reader.line_of_key("suites");
  for (const std::int64_t suite : reader.integers("suites", 1, 4)) {
    out.suites.value.push_back(static_cast<unsigned>(suite));
  }
  out.segments = rule(reader, "segments", reader.texts("segments", encoding::TomlReader::Empty::Allowed));
  check_segments(reader, out.segments.value);
  read_elf_rules(reader, out);
  out.max_releases =
      rule(reader, "max_releases", static_cast<std::uint64_t>(reader.integer("max_releases", 0, kHuge)));
  const auto most = static_cast<std::int64_t>(kMaxEncryptions);
  out.max_encryptions =
      rule(reader, "max_encryptions", static_cast<std::uint64_t>(reader.integer("max_encryptions", 0, most)));
  reader.finish();
  return out;
}

}  // namespace qpcseal::policy
