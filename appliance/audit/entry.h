// SPDX-License-Identifier: Apache-2.0
// One entry of the log: one line of canonical JSON.
//
//   {"data":{...},"kind":"release","phase":"intent","prev":"<hex>","seq":7,"software":"qpcseal 0.2.0",
//    "time":1800000000,"txn":"<hex, 16 bytes>","v":1}
//
// A result also has "intent" (the number of its intent) and "outcome": "ok", "denied", "failed" or "unknown".
// A wrapped entry has "intent" alone: it stands between the two where a wrapped key is about to leave the
// process, and names that key by its SHA-256.
// `prev` is the leaf hash of the entry before (zeros for entry 0): with it the first bad entry of a damaged
// log can be named.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "encoding/json.h"
#include "tlog/merkle.h"
#include "tlog/note.h"

namespace qpcseal::audit {

inline constexpr std::size_t kTxnSize = 16;          // bytes
inline constexpr std::size_t kMaxEntrySize = 65535;  // bytes, as in a tile of entries

enum class Phase { Intent, Wrapped, Result, Event };

struct Entry {
  std::uint64_t seq = 0;
  UnixTime time = 0;
  std::string kind;
  Phase phase = Phase::Event;
  std::string txn;  // hex
  std::string software;
  tlog::Hash prev{};
  std::optional<std::uint64_t> intent;  // results and wrapped entries
  std::string outcome;                  // results only
  encoding::Json data = encoding::Json::object();
};

// The same, as views into the line: what can be checked of an entry without building its data.
struct EntryView {
  std::uint64_t seq = 0;
  UnixTime time = 0;
  std::string_view kind, txn, software, outcome, data;  // data: canonical JSON, an object
  Phase phase = Phase::Event;
  tlog::Hash prev{};
  std::optional<std::uint64_t> intent;
};

std::string_view to_string(Phase phase);
// Without the line feed. Error{Malformed} above kMaxEntrySize.
std::string encode_entry(const Entry& entry);
// Error{Malformed} for what encode_entry would not write.
Entry parse_entry(std::string_view line);
// As strict as parse_entry, in a tenth of its time. The view must not outlive the line: not of a temporary.
EntryView scan_entry(std::string_view line);
template <std::same_as<std::string> Temporary>
EntryView scan_entry(Temporary&& line) = delete;

// Whether the entry may be of a time before the entry before it: an event `clock-correct`.
[[nodiscard]] bool sets_clock_back(std::string_view kind, Phase phase);

// What the log's key signs to hand over to `next`: "qpcseal/rotate-key/1" 00 || vkey text.
Bytes rotation_message(const tlog::VerifierKey& next);
[[nodiscard]] bool is_rotation(const Entry& entry);  // a result of rotate-key that says ok
// The key that a rotation brings in: data "log_key" (vkey) and "signature" (base64, by `current`, which is
// its "previous"). The name stays. Error{LogDamaged}.
tlog::VerifierKey rotated_key(const Entry& entry, const tlog::VerifierKey& current);

}  // namespace qpcseal::audit
