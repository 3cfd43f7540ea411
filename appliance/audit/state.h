// What the log says, replayed: the only state there is. What each kind of entry means is in a table
// (state_kinds.h); a kind that is not in it is refused, as is a phase that the kind does not have.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "appliance/audit/entry.h"

namespace qpcseal::audit {

struct Challenge {
  Bytes nonce, mek_id;
  std::optional<Bytes> ueid;
  std::string host;                     // may be empty
  std::optional<std::uint64_t> device;  // number on that host
  UnixTime made = 0, expires = 0;
  bool consumed = false;
  std::string consumed_by;  // SHA-256 of the report, hex
};

struct MekHistory {
  Bytes id;
  std::string label;  // name#generation
  std::uint64_t generation = 0;
  UnixTime created = 0;
  std::uint64_t encryptions = 0, releases = 0;
  // "pending", "ok", "failed", "unknown", "suspended", "destroying", "destroyed"
  std::string state;
  std::string origin = "generated";  // else "restored" (may wrap, not encrypt), "heir", "imported"
  std::string before;                // the state before "destroying"
};

struct OpenIntent {
  std::uint64_t seq = 0;
  std::string kind, txn;
  Json data;
};

struct Ceremony {
  std::string id;         // hex, 16 bytes
  std::uint64_t seq = 0;  // of the entry that began it
  std::string outcome;    // empty while it goes on
};

struct State {
  Json genesis;
  std::uint64_t size = 0;  // entries
  UnixTime last_time = 0;
  std::string policy_digest, trust_digest;  // hex
  std::string officers_digest;              // hex; empty: an appliance without officers
  std::uint64_t policy_serial = 0;
  std::map<Bytes, Challenge> challenges;         // by nonce
  std::map<Bytes, MekHistory> meks;              // by id
  std::map<Bytes, std::uint64_t> card_releases;  // by ueid
  std::set<std::string> quarantined;             // file names that recoveries recorded
  std::map<Bytes, UnixTime> drills;              // until when a drill's certificate holds, by MEK id
  std::map<std::string, Ceremony> ceremonies;    // by the plan's SHA-256, hex: a plan serves once
  std::set<std::string> approvals_used;          // nonces of approval requests, hex
  std::vector<OpenIntent> open;                  // intents without a result

  // The next entry. Error{Malformed} for one that cannot follow: numbers, times, serials that go down, a
  // nonce used twice, a result without its intent, an unknown kind.
  void apply(const Entry& entry);
};

}  // namespace qpcseal::audit
