#include "appliance/audit/entry.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal::audit {

namespace {

constexpr std::size_t kTxnSize = 16;  // bytes
constexpr std::string_view kOutcomes[] = {"ok", "denied", "failed", "unknown"};

Phase phase_of(const std::string& name) {
  for (const Phase phase : {Phase::Intent, Phase::Result, Phase::Event})
    if (name == name_of(phase)) return phase;
  throw Error(ErrorKind::Malformed, "unknown phase '" + name + "'");
}

void read_result(const Json& json, Entry& entry) {
  entry.intent = uint_member(json, "intent");
  entry.outcome = text_member(json, "outcome");
  if (std::find(std::begin(kOutcomes), std::end(kOutcomes), entry.outcome) == std::end(kOutcomes))
    throw Error(ErrorKind::Malformed, "unknown outcome '" + entry.outcome + "'");
}

}  // namespace

std::string_view name_of(Phase phase) {
  if (phase == Phase::Intent) return "intent";
  return phase == Phase::Result ? "result" : "event";
}

std::string encode_entry(const Entry& entry) {
  Json json{{"v", 1U},
            {"seq", entry.seq},
            {"time", static_cast<std::uint64_t>(entry.time)},
            {"kind", entry.kind},
            {"phase", name_of(entry.phase)},
            {"txn", entry.txn},
            {"software", entry.software},
            {"prev", to_hex(entry.prev)},
            {"data", entry.data}};
  if (entry.phase == Phase::Result) {
    json["intent"] = entry.intent.value();
    json["outcome"] = entry.outcome;
  }
  std::string line = canonical(json);
  if (line.size() > kMaxEntrySize)
    throw Error(ErrorKind::Malformed, "an entry of more than " + std::to_string(kMaxEntrySize) + " bytes");
  return line;
}

Entry parse_entry(std::string_view line) {
  if (line.size() > kMaxEntrySize) throw Error(ErrorKind::Malformed, "an entry that is too long");
  const Json json = parse_canonical(line, "entry");
  Entry entry;
  entry.phase = phase_of(text_member(json, "phase"));
  if (entry.phase == Phase::Result) {
    expect_keys(json,
                {"v", "seq", "time", "kind", "phase", "txn", "software", "prev", "data", "intent", "outcome"},
                "entry");
    read_result(json, entry);
  } else {
    expect_keys(json, {"v", "seq", "time", "kind", "phase", "txn", "software", "prev", "data"}, "entry");
  }
  if (uint_member(json, "v") != 1) throw Error(ErrorKind::Malformed, "entry of an unknown version");
  entry.seq = uint_member(json, "seq");
  const std::uint64_t time = uint_member(json, "time");
  if (time > static_cast<std::uint64_t>(INT64_MAX)) throw Error(ErrorKind::Malformed, "a time out of range");
  entry.time = static_cast<UnixTime>(time);
  entry.kind = text_member(json, "kind");
  entry.txn = hex_member(json, "txn", kTxnSize);
  entry.software = text_member(json, "software");
  const Bytes prev = from_hex(hex_member(json, "prev", entry.prev.size()));
  std::copy(prev.begin(), prev.end(), entry.prev.begin());
  entry.data = member(json, "data");
  if (!entry.data.is_object()) throw Error(ErrorKind::Malformed, "data is not an object");
  return entry;
}

Bytes rotation_message(const VerifierKey& next) {
  constexpr std::string_view kContext = "qpcseal/rotate-key/1";
  Bytes out;
  append(out, view(kContext));
  out.push_back(0);
  append(out, view(next.text()));
  return out;
}

VerifierKey rotated_key(const Entry& entry, const VerifierKey& current) {
  VerifierKey next = VerifierKey::parse(text_member(entry.data, "log_key"));
  const Bytes signature = from_base64(text_member(entry.data, "signature"));
  if (next.name() != current.name() || !current.verify(rotation_message(next), signature))
    throw Error(ErrorKind::LogDamaged, "the log's key did not sign the key that follows it");
  return next;
}

}  // namespace qpcseal::audit
