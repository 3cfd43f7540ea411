// SPDX-License-Identifier: Apache-2.0
// A collateral bundle: the vendor's roots, revocation lists, reference measurements and revoked cards in one
// file that officers sign, with a serial and a window in which it is fresh. docs/FORMAT.md section 7.5.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/trust/trust_folder.h"
#include "base/clock.h"

namespace qpcseal::trust {

inline constexpr std::size_t kMaxCollateral = std::size_t{4} << 20;  // bytes

struct Collateral {
  std::uint64_t serial = 0;                              // at least 1; only rises
  UnixTime not_before = 0, not_after = 0;                // fresh in [not_before, not_after)
  std::vector<Bytes> roots, crls;                        // DER; at most 64 each, at least one root
  std::map<std::string, std::vector<Bytes>> references;  // name -> SHA-256 or SHA-384 digests
  std::vector<Bytes> revoked_ueids;
};

std::string encode_collateral(const Collateral& bundle);
// Only what encode_collateral() writes. Error{Malformed}.
Collateral parse_collateral(std::string_view text);
// In words, for officers to read.
std::string show_collateral(const Collateral& bundle);

// The parts of a bundle that verification and policy use.
Trust make_trust(const Collateral& bundle, const Sha256Digest& digest);
// The bundle in force: the file's digest must be the one in the log. Error{Denied} otherwise.
Trust read_collateral_trust(const std::filesystem::path& file, const std::string& digest);

}  // namespace qpcseal::trust
