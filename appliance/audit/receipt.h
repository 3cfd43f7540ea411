// SPDX-License-Identifier: Apache-2.0
// A receipt: one entry, the proof that it is in the log, and the signed checkpoint that covers it. It is
// checked with the log's verification key, without log or token. It carries the rotations of the log key, so
// an earlier key serves as well as the one that signed the checkpoint.
//
// Canonical JSON and a line feed:
//   {"checkpoint":"<signed
//   note>","entry":"<line>","index":7,"proof":["<base64>",...],"rotations":[<proven>...],
//    "type":"qpcseal-receipt","v":1}
//   proven = {"entry":"<line>","index":3,"proof":["<base64>",...]}
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "appliance/audit/read.h"

namespace qpcseal::audit {

inline constexpr std::size_t kMaxReceiptSize = std::size_t{1} << 20;  // bytes

// Error{Usage} where the log has no such entry.
std::string make_receipt(const LogCopy& log, std::uint64_t seq);

// An entry with the proof that it is in the log: a part of receipts and of bundles.
encoding::Json proven(const LogCopy& log, std::uint64_t seq);
Entry check_proven(const encoding::Json& proven, const tlog::Checkpoint& checkpoint);
// ["<base64>",...]; back, Error{Malformed}.
encoding::Json as_json(const tlog::Proof& proof);
tlog::Proof parse_proof(const encoding::Json& list);

// The content of a receipt, unverified. Error{Malformed}.
Entry entry_of_receipt(std::string_view text);

struct Receipt {
  Entry entry;
  tlog::Checkpoint checkpoint;
};
// `key`: the one that signed the checkpoint, or one before it. Error{Malformed} for another shape,
// Error{LogDamaged} where signature or proof do not hold.
Receipt check_receipt(std::string_view text, const tlog::VerifierKey& key);

}  // namespace qpcseal::audit
