// A receipt: one entry, the proof that it is in the log, and the signed checkpoint that covers it. With the
// log's verification key it is checked years later, without log or token.
//
// Canonical JSON and a line feed:
//   {"checkpoint":"<signed
//   note>","entry":"<line>","index":7,"proof":["<base64>",...],"type":"qpcseal-receipt",
//    "v":1}
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "appliance/audit/read.h"

namespace qpcseal::audit {

inline constexpr std::size_t kMaxReceiptSize = std::size_t{1} << 20;  // bytes

// Error{Usage} where the log has no such entry.
std::string make_receipt(const LogCopy& log, std::uint64_t seq);

struct Receipt {
  Entry entry;
  Checkpoint checkpoint;
};
// Error{Malformed} for another shape, Error{LogDamaged} where signature or proof do not hold.
Receipt check_receipt(std::string_view text, const VerifierKey& key);

}  // namespace qpcseal::audit
