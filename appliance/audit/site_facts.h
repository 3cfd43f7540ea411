// SPDX-License-Identifier: Apache-2.0
// The site facts: module, token and clock, as officers signed them with the genesis, and as `site` events
// changed them. They are in the log, so no file can change them. docs/FORMAT.md section 6.9.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "encoding/json.h"

namespace qpcseal::audit {

inline constexpr std::uint64_t kClockDays = 7, kMaxClockDays = 90;
// What a site may accept beside desired key attributes: that the token's module uses the network, and that
// the kernel confines this program less than it should.
inline constexpr std::string_view kModuleNetwork = "module-network", kUnconfined = "unconfined";
inline constexpr UnixTime kDay = 86400;       // seconds
inline constexpr std::size_t kDateSize = 10;  // "2026-11-28"

// Another maker's program that runs behind this appliance's gate, confined: a verifier of evidence (scheme
// "external:NAME"), or the tool that encrypts for stock cards (kVendorTool).
struct PinnedFile {
  std::string path;    // absolute; in its sandbox it lies there too
  std::string sha256;  // hex
  bool operator==(const PinnedFile&) const = default;
};
struct PinnedProgram {
  std::string name;
  PinnedFile program;
  std::vector<PinnedFile> files;  // all that it is given beside the system's own /usr, by path
  bool operator==(const PinnedProgram&) const = default;
};
inline constexpr std::string_view kVendorTool = "qaic-encrypt";
inline constexpr std::size_t kMaxPrograms = 6, kMaxProgramFiles = 12;
inline constexpr std::size_t kImageSize = 32;  // bytes, of an image's root hash (dm-verity)

struct SiteFacts {
  std::string module_sha256;     // of the PKCS #11 module's file, hex
  std::string module_arguments;  // C_Initialize's pReserved string; "{home}" stands for the home's path
  std::vector<std::string>
      accept;           // desired key attributes that the token may lack; kModuleNetwork, kUnconfined
  bool anchor = false;  // the token keeps the log's anchor
  std::uint64_t clock_days = kClockDays;  // entries further apart need a confirmed clock; 1 to 90
  std::vector<PinnedProgram> programs;    // by name
  bool swap = false;                      // a key may be exposed while the workstation swaps memory to a disk
  std::string image;  // root hash of the image that must run, hex; empty: none is demanded

  [[nodiscard]] bool accepts(std::string_view name) const;

  bool operator==(const SiteFacts&) const = default;
};

// Null: there is none of that name.
const PinnedProgram* find_program(const SiteFacts& facts, std::string_view name);
// A name that a policy's scheme can have: letters, digits, '.', '_', '-'; 1 to 64 bytes.
[[nodiscard]] bool is_program_name(std::string_view name);
// An absolute path without "..", "//" and control characters, outside of what a sandbox has of its own.
[[nodiscard]] bool is_program_path(std::string_view path);

encoding::Json as_json(const PinnedProgram& program);
encoding::Json as_json(const SiteFacts& facts);
// Error{Malformed} for what as_json() would not write.
SiteFacts parse_site_facts(const encoding::Json& json);
// In the member `site` of a genesis entry's data. Error{Malformed} where there is none: versions before 0.2.0
// made the log.
SiteFacts genesis_facts(const encoding::Json& genesis);

}  // namespace qpcseal::audit
