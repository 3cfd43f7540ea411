// SPDX-License-Identifier: Apache-2.0
// The state, replayed from the log: there is no other. A table (state_kinds.h) has the meaning of each kind
// of entry; an unknown kind is refused, and so is a phase that the kind does not have. A new member goes into
// state_codec.cpp too, which does not compile without it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "appliance/audit/entry.h"
#include "appliance/audit/packed_map.h"
#include "appliance/audit/site_facts.h"

namespace qpcseal::audit {

struct Challenge {
  Bytes nonce, mek_id;
  std::optional<Bytes> ueid;
  std::string host;                     // may be empty
  std::optional<std::uint64_t> device;  // number on that host
  UnixTime made = 0, expires = 0;
  bool consumed = false;
  std::string consumed_by;                   // SHA-256 of the report, hex
  std::uint64_t intent = 0;                  // of the release that used it up
  std::optional<std::uint64_t> released_by;  // the result "ok" of that release

  bool operator==(const Challenge&) const = default;
};

inline void put_key(const Bytes& nonce, Challenge& challenge) { challenge.nonce = nonce; }

struct MekHistory {
  Bytes id;
  std::string label;  // name#generation
  std::uint64_t generation = 0;
  UnixTime created = 0;
  std::uint64_t encryptions = 0;
  std::uint64_t releases = 0;  // begun, less those that ended before anything was wrapped
  // "pending", "ok", "failed", "unknown", "suspended", "destroying", "destroyed"
  std::string state;
  std::string origin = "generated";  // else "restored" (may wrap, not encrypt), "transferee", "imported"
  std::string before;                // the state before "destroying"
  bool suspended = false;            // until it is resumed, whatever becomes of the key in between
  std::string transferee;   // who its destruction here named: SHA-256 of the recovery key's file, hex
  std::string check_value;  // of an imported one: by it the same key is known again, hex
  bool returned = false;    // the token lost it, and has it again from this appliance's own backup
  // Times that it was, or may have been, in another maker's tool in the clear (mek-expose); since when.
  std::uint64_t exposures = 0;
  UnixTime exposed_since = 0;

  bool operator==(const MekHistory&) const = default;
};

// A release with the result `ok`.
struct ReleaseRecord {
  std::uint64_t seq = 0;  // of the result
  Bytes mek_id, ueid, nonce;
  std::string pub_sha256;  // of MEK.pub, hex

  bool operator==(const ReleaseRecord&) const = default;
};

struct OpenIntent {
  std::uint64_t seq = 0;
  std::string kind, txn;
  encoding::Json data;
  encoding::Json wrapped;  // data of its wrapped entry; null: nothing was wrapped yet

  [[nodiscard]] bool is_wrapped() const { return !wrapped.is_null(); }
  bool operator==(const OpenIntent&) const = default;
};

// A log key, which signs checkpoints of more than `since` entries.
struct LogKey {
  std::uint64_t since = 0;
  std::string vkey;

  bool operator==(const LogKey&) const = default;
};
// Adds the key that a rotation brings in. Errors as rotated_key().
void rotate(std::vector<LogKey>& keys, const Entry& rotation);

// The latest checkpoint that a witness cosigned.
struct Witnessed {
  std::uint64_t size = 0;
  std::string root;  // hex
  UnixTime time = 0;

  bool operator==(const Witnessed&) const = default;
};

// One measurement of one model of one scheme, with a floor for its security version.
struct SvnSubject {
  std::string scheme;
  Bytes hwmodel;     // empty where the scheme has none
  std::string name;  // "submodule/name" in a submodule
  auto operator<=>(const SvnSubject&) const = default;
};

// Member of `mek-destroy`: SHA-256 of the recovery key's file whose token may have the transferee.
inline constexpr const char* kTransfereeKey = "transferee_recovery_key_sha256";

// Of an imported key's check value: "qpcseal/check/1" and a tag.
inline constexpr std::size_t kImportCheckSize = 32;  // bytes

struct Ceremony {
  std::string id;         // hex, 16 bytes
  std::uint64_t seq = 0;  // of the entry that began it
  std::string outcome;    // empty while it goes on
  bool acted = false;     // an act of it was begun

  bool operator==(const Ceremony&) const = default;
};
// Whether its plan may begin anew under the same signatures: it ended without an act.
[[nodiscard]] inline bool may_begin_anew(const Ceremony& ceremony) {
  return ceremony.outcome == "failed" && !ceremony.acted;
}

struct State {
  encoding::Json genesis;
  SiteFacts site;          // in force
  std::uint64_t size = 0;  // entries
  UnixTime last_time = 0;
  std::string policy_digest, trust_digest;  // hex
  std::string officers_digest;              // hex; empty: an appliance without officers
  bool genesis_accepted = false;            // every officer signed it
  std::uint64_t policy_serial = 0;
  std::uint64_t collateral_serial = 0;               // 0: no bundle was imported, the trust folder counts
  PackedMap<Bytes, Challenge> challenges;            // by nonce; all of them, for ever
  std::map<Bytes, MekHistory> meks;                  // by id
  std::map<Bytes, std::uint64_t> card_releases;      // by ueid; counted as MekHistory::releases
  std::set<std::string> sealed;                      // manifests that were sealed here, SHA-256, hex
  PackedMap<std::string, ReleaseRecord> releases;    // done, by SHA-256 of the wrapped MEK (MEK.encrypt), hex
  std::map<SvnSubject, std::uint64_t> svn_floors;    // they only rise
  std::map<Bytes, Bytes> crl_numbers;                // the highest crlNumber seen, by the issuer's name (DER)
  std::map<Bytes, UnixTime> drills;                  // until when a drill's certificate holds, by MEK id
  std::map<std::string, std::string> recovery_keys;  // made here: public files, base64, by their SHA-256, hex
  std::map<std::string, Ceremony> ceremonies;        // by the plan's SHA-256, hex: a plan serves once
  std::set<std::string> quarantined;                 // file names that recoveries recorded
  // Requests for approval that were used, by their nonces: of a release's the SHA-256 of the request, under
  // which it goes on; empty where it does not, as for all other acts, or was rejected. Hex.
  PackedMap<std::string, std::string> approvals_used;
  // Those of them whose act failed, so that nothing was done: the SHA-256 of the request, under which the
  // same act may be done again. By nonce, hex.
  std::map<std::string, std::string> approvals_again;
  std::map<std::uint64_t, OpenIntent> open;    // intents without a result, by number
  std::vector<LogKey> log_keys;                // first to last
  std::set<std::string> witness_keys;          // vkeys of the witnesses that this site believes
  std::map<std::string, Witnessed> witnessed;  // by the witness's vkey: the largest

  bool operator==(const State&) const = default;

  // The next entry. Error{Malformed} for one that cannot follow: numbers, times, serials that go down, a
  // nonce used twice, a result or wrapped entry without its intent, or one that contradicts it, an unknown
  // kind, a time further on than the site's days without a `clock` event. Time goes back at a `clock-correct`
  // event alone.
  void apply(const Entry& entry);
};

// The key that was imported with this check value (hex) and came in, or may have. Null: none.
const MekHistory* imported_before(const State& state, const std::string& check_value);

// All kinds of entries, as docs/FORMAT.md section 6.1 lists them.
std::vector<std::string> kind_names();

}  // namespace qpcseal::audit
