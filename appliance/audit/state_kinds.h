// SPDX-License-Identifier: Apache-2.0
// The effect of each kind of entry on the state; only for state*.cpp. ARCHITECTURE.md, "Adding a kind of log
// entry", lists the steps for a new kind.
#pragma once

#include <string>
#include <string_view>

#include "appliance/audit/state.h"
#include "base/error.h"

namespace qpcseal::audit {

// A phase without a function is one that the kind does not have. All throw Error{Malformed} for an entry that
// cannot follow.
struct Kind {
  std::string_view name;
  void (*event)(State&, const Entry&) = nullptr;
  void (*intent)(State&, const Entry&) = nullptr;
  void (*result)(State&, const Entry&, const OpenIntent&) = nullptr;
  void (*wrapped)(State&, const Entry&, const OpenIntent&) = nullptr;
};

// state_mek.cpp
extern const Kind kMekGenerate, kMekRotate, kSeal, kSealSet;
// state_life.cpp
extern const Kind kMekSuspend, kMekResume, kMekDestroy, kMekBackup, kMekRestore, kMekImport, kMekDrill,
    kShred, kRecoveryKey, kPinChange, kLeftovers;
// state_exposure.cpp
extern const Kind kMekExpose;
// state_ceremony.cpp
extern const Kind kCeremony, kCeremonyStep, kCeremonyStop, kCeremonyResume;
// state_release.cpp
extern const Kind kChallenge, kRelease, kDenied, kRefused;
// state_site.cpp
extern const Kind kGenesis, kGenesisAccepted, kPolicy, kOfficers, kTrust, kRejection, kRecovery, kRotateKey;
// state_repair.cpp
extern const Kind kSite, kAnchorAccept, kClock, kClockCorrect, kTokenRestored;
// state_witness.cpp
extern const Kind kWitnessKey, kWitness;

inline constexpr std::size_t kNonceSize = 32, kMekIdSize = 16, kDigestSize = 32;  // bytes

inline void require(bool good, const std::string& complaint) {
  if (!good) throw Error(ErrorKind::Malformed, complaint);
}
inline Bytes bytes_member(const encoding::Json& data, const char* key, std::size_t size) {
  return from_hex(encoding::hex_member(data, key, size));
}
// The MEK that data's `mek_id` names. Error{Malformed} `complaint` where the log knows none.
MekHistory& known_mek(State& state, const encoding::Json& data, std::string_view complaint);
// Likewise, in use and not a copy that only wraps: `act` encrypts.
MekHistory& encrypting_mek(State& state, const encoding::Json& data, const std::string& act);
// Adds the `encryptions` of the data.
void count_encryptions(MekHistory& mek, const encoding::Json& data);
// Whether the label is free: only destroyed and failed keys have it. `but` is an id that is ignored.
bool is_free_label(const State& state, const std::string& label, const Bytes& but = {});

// crlNumbers that were seen, by issuer: a list of {issuer, number}. One below the highest so far is refused,
// unless `older_too`.
void raise_crls(State& state, const encoding::Json& crls, bool older_too);

// A release whose key is not wrapped but in a tool: `exposed` of its wrapped entry. In state_exposure.cpp.
void check_exposed(const State& state, const encoding::Json& exposed, const OpenIntent& release);

// Whether the entry's time can follow the state's. Error{Malformed}. In state_repair.cpp.
void check_time(const State& state, const Entry& entry);

// For a phase that changes nothing but what apply() itself keeps.
inline void nothing(State& /*state*/, const Entry& /*entry*/) {}

}  // namespace qpcseal::audit
