// The life of MEKs after they are made: suspended, backed up, restored, moved in, destroyed.
#include "appliance/audit/state_kinds.h"

namespace qpcseal::audit {

namespace {

void suspend(State& state, const Entry& entry) {
  MekHistory& mek = known_mek(state, entry.data, "a suspension of an unknown MEK");
  require(mek.state == "ok", "a suspension of a MEK that is '" + mek.state + "'");
  mek.state = "suspended";
}

void resume(State& state, const Entry& entry) {
  MekHistory& mek = known_mek(state, entry.data, "a resumption of an unknown MEK");
  require(mek.state == "suspended", "a resumption of a MEK that is '" + mek.state + "'");
  mek.state = "ok";
}

void begin_destroy(State& state, const Entry& entry) {
  MekHistory& mek = known_mek(state, entry.data, "a destruction of an unknown MEK");
  const bool is_over = mek.state == "destroyed" || mek.state == "failed";
  if (entry.data.contains("found_again"))
    require(is_over, "a MEK that was found again, and is '" + mek.state + "'");
  else
    require(mek.state != "destroyed" && mek.state != "destroying", "a MEK that is destroyed twice");
  mek.before = mek.state;
  mek.state = "destroying";
}

void end_destroy(State& state, const Entry& entry, const OpenIntent& intent) {
  MekHistory& mek = known_mek(state, intent.data, "an unknown MEK");
  mek.state = entry.outcome == "ok" ? "destroyed" : entry.outcome == "failed" ? mek.before : "unknown";
}

// The check value is an encryption like any other.
void begin_backup(State& state, const Entry& entry) {
  known_mek(state, entry.data, "a backup of an unknown MEK").encryptions +=
      uint_member(entry.data, "encryptions");
}

void unchanged(State& /*state*/, const Entry& /*entry*/, const OpenIntent& /*intent*/) {}

MekHistory arrival_of(const Entry& entry, const std::string& origin) {
  MekHistory mek;
  mek.id = bytes_member(entry.data, "mek_id", kMekIdSize);
  mek.label = text_member(entry.data, "label");
  mek.generation = uint_member(entry.data, "generation");
  mek.encryptions = uint_member(entry.data, "encryptions");
  mek.created = entry.time;
  mek.state = "pending";
  mek.origin = origin;
  return mek;
}

// The same key may come back where it failed to, or was destroyed; its releases go on being counted.
void begin_restore(State& state, const Entry& entry) {
  const std::string& origin = text_member(entry.data, "origin");
  require(origin == "restored" || origin == "heir", "a restored MEK of origin '" + origin + "'");
  MekHistory mek = arrival_of(entry, origin);
  const auto known = state.meks.find(mek.id);
  if (known != state.meks.end()) {
    const std::string& was = known->second.state;
    require(was == "failed" || was == "destroyed", "a MEK id that is in use");
    mek.releases = known->second.releases;
    require(mek.encryptions >= known->second.encryptions || known->second.origin == "restored",
            "an encryption count that goes down");
  }
  state.meks[mek.id] = std::move(mek);
}

void begin_import(State& state, const Entry& entry) {
  MekHistory mek = arrival_of(entry, "imported");
  const Bytes id = mek.id;
  require(state.meks.emplace(id, std::move(mek)).second, "a MEK id that was used before");
}

void end_arrival(State& state, const Entry& entry, const OpenIntent& intent) {
  known_mek(state, intent.data, "an unknown MEK").state = entry.outcome;
}

void end_drill(State& state, const Entry& entry, const OpenIntent& intent) {
  if (entry.outcome != "ok") return;
  state.drills[bytes_member(intent.data, "mek_id", kMekIdSize)] =
      static_cast<UnixTime>(uint_member(entry.data, "expires"));
}

}  // namespace

const Kind kMekSuspend{"mek-suspend", suspend};
const Kind kMekResume{"mek-resume", resume};
const Kind kMekDestroy{"mek-destroy", nullptr, begin_destroy, end_destroy};
const Kind kMekBackup{"mek-backup", nullptr, begin_backup, unchanged};
const Kind kMekRestore{"mek-restore", nullptr, begin_restore, end_arrival};
const Kind kMekImport{"mek-import", nullptr, begin_import, end_arrival};
const Kind kMekDrill{"mek-drill", nullptr, nothing, end_drill};
const Kind kShred{"shred", nothing};
const Kind kRecoveryKey{"recovery-key", nullptr, nothing, unchanged};
const Kind kPinChange{"pin-change", nullptr, nothing, unchanged};

}  // namespace qpcseal::audit
