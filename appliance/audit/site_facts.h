// SPDX-License-Identifier: Apache-2.0
// The site facts: module, token and clock, as officers signed them with the genesis, and as `site` events
// changed them. They are in the log, so no file can change them. docs/FORMAT.md section 6.9.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "encoding/json.h"

namespace qpcseal::audit {

inline constexpr std::uint64_t kClockDays = 7, kMaxClockDays = 90;
inline constexpr UnixTime kDay = 86400;       // seconds
inline constexpr std::size_t kDateSize = 10;  // "2026-11-28"

struct SiteFacts {
  std::string module_sha256;        // of the PKCS #11 module's file, hex
  std::string module_arguments;     // C_Initialize's pReserved string; "{home}" stands for the home's path
  std::vector<std::string> accept;  // desired key attributes that the token may lack
  bool anchor = false;              // the token keeps the log's anchor
  std::uint64_t clock_days = kClockDays;  // entries further apart need a confirmed clock; 1 to 90

  bool operator==(const SiteFacts&) const = default;
};

encoding::Json as_json(const SiteFacts& facts);
// Error{Malformed} for what json_of() would not write.
SiteFacts parse_site_facts(const encoding::Json& json);
// In the member `site` of a genesis entry's data. Error{Malformed} where there is none: versions before 0.2.0
// made the log.
SiteFacts genesis_facts(const encoding::Json& genesis);

}  // namespace qpcseal::audit
