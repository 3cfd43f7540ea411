// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/entry.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "encoding/json_scan.h"

namespace qpcseal::audit {

namespace {

constexpr std::string_view kOutcomes[] = {"ok", "denied", "failed", "unknown"};

Phase phase_of(std::string_view name) {
  for (const Phase phase : {Phase::Intent, Phase::Wrapped, Phase::Result, Phase::Event})
    if (name == to_string(phase)) return phase;
  throw Error(ErrorKind::Malformed, "unknown phase '" + std::string(name) + "'");
}

// In the order of canonical JSON; `intent` and `outcome` are a result's, `intent` alone a wrapped entry's.
constexpr std::array<std::string_view, 11> kMembers = {"data", "intent",   "kind", "outcome", "phase", "prev",
                                                       "seq",  "software", "time", "txn",     "v"};

// `extra`: how many of the two optional members the line has.
bool belongs(std::string_view name, std::size_t extra) {
  if (name == "outcome") return extra == 2;
  return name != "intent" || extra > 0;
}

// All members of an entry, and no other; those that an entry of its phase does not have stay empty.
struct Members {
  std::array<encoding::RawMember, kMembers.size()> of;

  explicit Members(std::string_view line) {
    std::array<encoding::RawMember, kMembers.size()> found;
    const std::size_t count = encoding::scan_object(line, found);
    constexpr std::size_t kAlways = kMembers.size() - 2;
    const std::size_t extra = count > kAlways ? count - kAlways : 0;
    std::size_t at = 0;
    for (std::size_t i = 0; i < kMembers.size(); ++i) {
      if (!belongs(kMembers[i], extra)) continue;
      if (at == count || found[at].key != kMembers[i])
        throw Error(ErrorKind::Malformed, "entry: no member '" + std::string(kMembers[i]) + "'");
      of[i] = found[at++];  // at last all of them: `extra` is two at most
    }
  }
  [[nodiscard]] bool has(std::string_view name) const {
    return std::ranges::find(of, name, &encoding::RawMember::key) != of.end();
  }
  [[nodiscard]] const encoding::RawMember& get(std::string_view name) const {
    return *std::ranges::find(of, name, &encoding::RawMember::key);
  }
  [[nodiscard]] std::string_view text(std::string_view name) const {
    return encoding::plain_text(get(name).value, name);
  }
  [[nodiscard]] std::uint64_t number(std::string_view name) const {
    return encoding::plain_uint(get(name).value, name);
  }
  [[nodiscard]] std::string_view hex(std::string_view name, std::size_t size) const {
    const std::string_view digits = text(name);
    if (!encoding::is_hex(digits, size))
      throw Error(ErrorKind::Malformed,
                  "'" + std::string(name) + "' is not " + std::to_string(size) + " bytes in lower-case hex");
    return digits;
  }
};

void read_intent_and_outcome(const Members& members, EntryView& entry) {
  const bool result = entry.phase == Phase::Result;
  if (members.has("outcome") != result || members.has("intent") != (result || entry.phase == Phase::Wrapped))
    throw Error(ErrorKind::Malformed,
                "entry: 'outcome' is a result's, 'intent' a result's or wrapped entry's");
  if (members.has("intent")) entry.intent = members.number("intent");
  if (!result) return;
  entry.outcome = members.text("outcome");
  if (std::ranges::find(kOutcomes, entry.outcome) == std::end(kOutcomes))
    throw Error(ErrorKind::Malformed, "unknown outcome '" + std::string(entry.outcome) + "'");
}

tlog::Hash hash_of(std::string_view hex) {
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  tlog::Hash out{};
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::uint8_t>(digit(hex[2 * i]) << 4U | digit(hex[(2 * i) + 1]));
  return out;
}

}  // namespace

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::Intent:
      return "intent";
    case Phase::Wrapped:
      return "wrapped";
    case Phase::Result:
      return "result";
    case Phase::Event:
      break;
  }
  return "event";
}

std::string encode_entry(const Entry& entry) {
  encoding::Json json{{"v", 1U},
                      {"seq", entry.seq},
                      {"time", static_cast<std::uint64_t>(entry.time)},
                      {"kind", entry.kind},
                      {"phase", to_string(entry.phase)},
                      {"txn", entry.txn},
                      {"software", entry.software},
                      {"prev", to_hex(entry.prev)},
                      {"data", entry.data}};
  if (entry.phase == Phase::Result || entry.phase == Phase::Wrapped) json["intent"] = entry.intent.value();
  if (entry.phase == Phase::Result) json["outcome"] = entry.outcome;
  std::string line = encoding::canonical(json);
  if (line.size() > kMaxEntrySize)
    throw Error(ErrorKind::Malformed, "an entry of more than " + std::to_string(kMaxEntrySize) + " bytes");
  return line;
}

EntryView scan_entry(std::string_view line) {
  if (line.size() > kMaxEntrySize) throw Error(ErrorKind::Malformed, "an entry that is too long");
  const Members members(line);
  EntryView entry;
  if (members.number("v") != 1) throw Error(ErrorKind::Malformed, "entry of an unknown version");
  entry.phase = phase_of(members.text("phase"));
  read_intent_and_outcome(members, entry);
  entry.seq = members.number("seq");
  const std::uint64_t time = members.number("time");
  if (time > static_cast<std::uint64_t>(INT64_MAX)) throw Error(ErrorKind::Malformed, "a time out of range");
  entry.time = static_cast<UnixTime>(time);
  entry.kind = members.text("kind");
  entry.txn = members.hex("txn", kTxnSize);
  entry.software = members.text("software");
  entry.prev = hash_of(members.hex("prev", entry.prev.size()));
  entry.data = members.get("data").value;
  if (!entry.data.starts_with('{')) throw Error(ErrorKind::Malformed, "data is not an object");
  return entry;
}

Entry parse_entry(std::string_view line) {
  const EntryView seen = scan_entry(line);
  Entry entry;
  entry.seq = seen.seq;
  entry.time = seen.time;
  entry.kind = seen.kind;
  entry.phase = seen.phase;
  entry.txn = seen.txn;
  entry.software = seen.software;
  entry.prev = seen.prev;
  entry.intent = seen.intent;
  entry.outcome = seen.outcome;
  entry.data = encoding::parse_json(seen.data, "entry");
  return entry;
}

bool sets_clock_back(std::string_view kind, Phase phase) {
  return kind == "clock-correct" && phase == Phase::Event;
}

Bytes rotation_message(const tlog::VerifierKey& next) {
  constexpr std::string_view kContext = "qpcseal/rotate-key/1";
  Bytes out;
  append(out, view(kContext));
  out.push_back(0);
  append(out, view(next.text()));
  return out;
}

bool is_rotation(const Entry& entry) {
  return entry.kind == "rotate-key" && entry.phase == Phase::Result && entry.outcome == "ok";
}

tlog::VerifierKey rotated_key(const Entry& entry, const tlog::VerifierKey& current) {
  tlog::VerifierKey next = tlog::VerifierKey::parse(encoding::text_member(entry.data, "log_key"));
  const Bytes signature = from_base64(encoding::text_member(entry.data, "signature"));
  if (next.name() != current.name() || encoding::text_member(entry.data, "previous") != current.text() ||
      !current.verify(rotation_message(next), signature))
    throw Error(ErrorKind::LogDamaged, "the log's key did not sign the key that follows it");
  return next;
}

}  // namespace qpcseal::audit
