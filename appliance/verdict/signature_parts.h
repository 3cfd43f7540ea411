// SPDX-License-Identifier: Apache-2.0
// Shared parts of gathering and verifying a bundle's signatures.
#pragma once

#include "appliance/approval/officers.h"
#include "appliance/audit/receipt.h"
#include "base/error.h"

namespace qpcseal::verdict {

// Error{LogDamaged}: a part of a bundle contradicts the log.
Error damaged(const std::string& what);

// An officers file, and the number of the entry from which on it was in force: 0, the genesis's.
struct OfficersSince {
  std::uint64_t since = 0;
  std::string text;
  approval::Officers officers;
};

// Those in force when entry `seq` was written. Error{LogDamaged} where there are none.
const approval::Officers& officers_at(const std::vector<OfficersSince>& files, std::uint64_t seq);

// The texts of a part's member "signatures". Error{Malformed}.
std::vector<std::string> signatures_in(const encoding::Json& part);
// Each signature counts, of these officers. Error{LogDamaged} with findings.
std::vector<approval::Approver> tally_all(const approval::Officers& officers, std::string_view sig_namespace,
                                          const std::string& text, const std::vector<std::string>& signatures,
                                          UnixTime now);
std::vector<std::string> signer_names(const std::vector<approval::Approver>& approvers);
// No names, for a file that nobody signed. Error{LogDamaged} where there are signatures of it.
std::vector<std::string> nobody(const std::vector<std::string>& signatures, const char* what);

[[nodiscard]] bool is_demo(const audit::Entry& genesis);
[[nodiscard]] bool has_officers(const audit::Entry& genesis);

}  // namespace qpcseal::verdict
