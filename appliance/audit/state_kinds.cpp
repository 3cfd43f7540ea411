// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/state_kinds.h"

#include <algorithm>
#include <array>

namespace qpcseal::audit {

namespace {

const auto& all_kinds() {
  static const std::array kinds = {&kGenesis, &kGenesisAccepted, &kOfficers, &kPolicy, &kTrust, &kRejection,
                                   &kRecovery, &kRotateKey, &kSite, &kAnchorAccept, &kClock, &kClockCorrect,
                                   &kTokenRestored, &kWitnessKey, &kWitness, &kChallenge, &kRelease, &kDenied,
                                   &kRefused, &kMekGenerate, &kMekRotate, &kSeal, &kSealSet,
                                   // the life of keys, and ceremonies
                                   &kMekExpose, &kMekSuspend, &kMekResume, &kMekDestroy, &kMekBackup,
                                   &kMekRestore, &kMekImport, &kMekDrill, &kShred, &kLeftovers, &kRecoveryKey,
                                   &kPinChange, &kCeremony, &kCeremonyStep, &kCeremonyStop, &kCeremonyResume};
  return kinds;
}

const Kind& kind_of(const std::string& name) {
  const auto found = std::ranges::find(all_kinds(), name, &Kind::name);
  require(found != all_kinds().end(), "its kind '" + name + "' is not known");
  return **found;
}

// The SHA-256 of the request; empty in a ceremony, whose officers signed a plan.
std::string request_of(const encoding::Json& approval) {
  return approval.contains("request_sha256") ? encoding::hex_member(approval, "request_sha256", kDigestSize)
                                             : "";
}

// An act that officers agreed to names their request; each request serves once, for releases until all of its
// reports are served, and for another act until it did not fail.
void use_approval(State& state, const Entry& entry) {
  const auto approval = entry.data.find("approval");
  if (approval == entry.data.end()) return;
  const std::string& nonce = encoding::hex_member(*approval, "nonce", kNonceSize);
  const std::string request = request_of(*approval);
  for (auto& [plan, ceremony] : state.ceremonies)
    if (ceremony.outcome.empty() && approval->value("ceremony", "") == ceremony.id) ceremony.acted = true;
  const auto again = state.approvals_again.find(nonce);
  if (again != state.approvals_again.end() && again->second == request) {
    state.approvals_again.erase(again);
    return;
  }
  const bool goes_on = entry.kind == kRelease.name;
  require(state.approvals_used.emplace(nonce, goes_on ? request : "").second,
          "an approval that was used before");
}

// A failed act left nothing: a fault of this machine does not use up the officers' agreement. Of a backup
// that may exist ("unknown") another copy to the same recovery key tells nobody more.
void give_back_approval(State& state, const Entry& entry, const OpenIntent& intent) {
  const auto approval = intent.data.find("approval");
  if (approval == intent.data.end() || entry.kind == kRelease.name) return;
  const bool undone =
      entry.outcome == "failed" || (entry.outcome == "unknown" && entry.kind == kMekBackup.name);
  const std::string request = request_of(*approval);
  if (undone && !request.empty())
    state.approvals_again[encoding::hex_member(*approval, "nonce", kNonceSize)] = request;
}

void apply_event(State& state, const Kind& kind, const Entry& entry) {
  require(kind.event != nullptr, "a '" + entry.kind + "' is not an event");
  use_approval(state, entry);
  kind.event(state, entry);
}

void apply_intent(State& state, const Kind& kind, const Entry& entry) {
  require(kind.intent != nullptr, "a '" + entry.kind + "' has no intent");
  use_approval(state, entry);
  kind.intent(state, entry);
  state.open.emplace(entry.seq, OpenIntent{entry.seq, entry.kind, entry.txn, entry.data, nullptr});
}

// What an entry says again of what came before must be the same: a result is of the key, card and report that
// its intent named.
void require_same(const encoding::Json& before, const encoding::Json& entry, const char* what) {
  if (before.is_null()) return;
  for (const auto& [name, value] : entry.items()) {
    const auto said = before.find(name);
    require(said == before.end() || *said == value, "its '" + name + "' contradicts " + what);
  }
}

OpenIntent& intent_of(State& state, const Entry& entry, std::string_view what) {
  const auto found = state.open.find(*entry.intent);
  require(found != state.open.end() && found->second.kind == entry.kind && found->second.txn == entry.txn,
          std::string(what) + " without its intent");
  require_same(found->second.data, entry.data, "its intent");
  require_same(found->second.wrapped, entry.data, "what was wrapped");
  return found->second;
}

void apply_wrapped(State& state, const Kind& kind, const Entry& entry) {
  require(kind.wrapped != nullptr, "a '" + entry.kind + "' wraps nothing");
  OpenIntent& intent = intent_of(state, entry, "a wrapped key");
  require(!intent.is_wrapped(), "a key that is wrapped twice for one intent");
  // The key itself is in a tool's hands, or a wrapped one is about to leave.
  const bool exposed =
      kind.name == kMekExpose.name || (kind.name == kRelease.name && entry.data.contains("exposed"));
  encoding::hex_member(exposed ? encoding::member(entry.data, "exposed") : entry.data,
                       exposed ? "tool_sha256" : "wrapped_sha256", kDigestSize);
  kind.wrapped(state, entry, intent);
  intent.wrapped = entry.data;
}

// Once a key is wrapped nobody can say that it did not leave.
void apply_result(State& state, const Kind& kind, const Entry& entry) {
  const OpenIntent& intent = intent_of(state, entry, "a result");
  require(!intent.is_wrapped() || entry.outcome == "ok" || entry.outcome == "unknown",
          "outcome '" + entry.outcome + "' of a key that was wrapped");
  require(kind.wrapped == nullptr || intent.is_wrapped() || entry.outcome != "ok",
          "outcome 'ok', and no key was wrapped");
  kind.result(state, entry, intent);
  give_back_approval(state, entry, intent);
  state.open.erase(*entry.intent);
}

}  // namespace

std::vector<std::string> kind_names() {
  std::vector<std::string> out;
  for (const Kind* kind : all_kinds()) out.emplace_back(kind->name);
  return out;
}

MekHistory& known_mek(State& state, const encoding::Json& data, std::string_view complaint) {
  const auto found = state.meks.find(bytes_member(data, "mek_id", kMekIdSize));
  require(found != state.meks.end(), std::string(complaint));
  return found->second;
}

void State::apply(const Entry& entry) {
  require(entry.seq == size, "its number is " + std::to_string(entry.seq));
  require((entry.seq == 0) == (entry.kind == kGenesis.name), "a genesis entry stands first, and only there");
  check_time(*this, entry);
  const Kind& kind = kind_of(entry.kind);
  if (entry.phase == Phase::Event) apply_event(*this, kind, entry);
  if (entry.phase == Phase::Intent) apply_intent(*this, kind, entry);
  if (entry.phase == Phase::Wrapped) apply_wrapped(*this, kind, entry);
  if (entry.phase == Phase::Result) apply_result(*this, kind, entry);
  last_time = entry.time;
  ++size;
  challenges.pack();
  releases.pack();
  approvals_used.pack();
}

}  // namespace qpcseal::audit
