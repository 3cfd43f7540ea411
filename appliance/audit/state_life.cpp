// SPDX-License-Identifier: Apache-2.0
// The life of MEKs after they are made: suspended, backed up, restored, moved in, destroyed.
#include <algorithm>

#include "appliance/audit/state_kinds.h"
#include "base/digest.h"

namespace qpcseal::audit {

namespace {

void suspend(State& state, const Entry& entry) {
  MekHistory& mek = known_mek(state, entry.data, "a suspension of an unknown MEK");
  require(mek.state == "ok", "a suspension of a MEK that is '" + mek.state + "'");
  mek.state = "suspended";
  mek.suspended = true;
}

void resume(State& state, const Entry& entry) {
  MekHistory& mek = known_mek(state, entry.data, "a resumption of an unknown MEK");
  require(mek.state == "suspended", "a resumption of a MEK that is '" + mek.state + "'");
  mek.state = "ok";
  mek.suspended = false;
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

// Whoever seals on with a copy of it counts from the number in the result.
void end_destroy(State& state, const Entry& entry, const OpenIntent& intent) {
  MekHistory& mek = known_mek(state, intent.data, "an unknown MEK");
  require(!entry.data.contains("encryptions") ||
              encoding::uint_member(entry.data, "encryptions") == mek.encryptions,
          "a MEK's end with another count of encryptions than the log's");
  mek.state = entry.outcome == "ok" ? "destroyed" : entry.outcome == "failed" ? mek.before : "unknown";
  if (entry.outcome == "ok" && intent.data.contains(kTransfereeKey))
    mek.transferee = encoding::hex_member(intent.data, kTransfereeKey, kDigestSize);
}

// The check value is an encryption like any other.
void begin_backup(State& state, const Entry& entry) {
  count_encryptions(encrypting_mek(state, entry.data, "a backup"), entry.data);
}

void wrap_backup(State& /*state*/, const Entry& /*entry*/, const OpenIntent& /*intent*/) {}

// The file that the result names is the one that was wrapped, with the count that the log has.
void end_backup(State& state, const Entry& entry, const OpenIntent& intent) {
  if (entry.outcome != "ok") return;
  require(encoding::hex_member(entry.data, "backup_sha256", kDigestSize) ==
              encoding::text_member(intent.wrapped, "wrapped_sha256"),
          "a backup of another digest than the one that was wrapped");
  require(encoding::uint_member(entry.data, "encryptions_until") ==
              known_mek(state, intent.data, "an unknown MEK").encryptions,
          "a backup with another count of encryptions than the log's");
}

void unchanged(State& /*state*/, const Entry& /*entry*/, const OpenIntent& /*intent*/) {}

MekHistory new_history(const Entry& entry, const std::string& origin) {
  MekHistory mek;
  mek.id = bytes_member(entry.data, "mek_id", kMekIdSize);
  mek.label = encoding::text_member(entry.data, "label");
  mek.generation = encoding::uint_member(entry.data, "generation");
  mek.encryptions = encoding::uint_member(entry.data, "encryptions");
  mek.created = entry.time;
  mek.state = "pending";
  mek.origin = origin;
  return mek;
}

// The token lost the key, and has it again: `lost` names its origin so far.
void follow_any_lost(MekHistory& mek, const MekHistory& known, const encoding::Json& data) {
  require(known.state == "ok" || known.state == "suspended", "a lost MEK that is '" + known.state + "'");
  require(mek.label == known.label && encoding::text_member(data, "lost") == known.origin,
          "another MEK than the lost one");
  mek.before = known.state;
  mek.created = known.created;
}

// Its use, whether it is suspended, whom it was handed on to.
void follow_use(MekHistory& mek, const MekHistory& known) {
  mek.releases = known.releases;
  mek.suspended = known.suspended;
  mek.exposures = known.exposures;
  mek.exposed_since = known.exposed_since;
  mek.transferee = known.transferee;
  mek.check_value = known.check_value;
  require(mek.encryptions >= known.encryptions, "an encryption count that goes down");
}

// At its source the vendor's tool had the key.
void follow_exposure(MekHistory& mek, const encoding::Json& data) {
  if (!data.contains("exposed_since")) return;
  const std::uint64_t since = encoding::uint_member(data, "exposed_since");
  require(since > 0 && since <= static_cast<std::uint64_t>(INT64_MAX), "an exposure at no time");
  const auto time = static_cast<UnixTime>(since);
  mek.exposed_since = mek.exposures == 0 ? time : std::min(mek.exposed_since, time);
  mek.exposures = std::max<std::uint64_t>(mek.exposures, 1);
}

// By a backup a key of this appliance goes on as before (origin "returned"); a copy stays what it was, unless
// its source's end makes it a transferee.
void follow_lost(MekHistory& mek, const MekHistory& known, const encoding::Json& data) {
  follow_any_lost(mek, known, data);
  const bool own = known.origin == "generated" || known.origin == "imported";
  require(own == (mek.origin == "returned"), "a lost MEK of another origin");
  mek.returned = own;
  if (own) mek.origin = known.origin;
}

// The same key may come back where it failed to, was destroyed, or was lost. What is known of it stays.
void begin_restore(State& state, const Entry& entry) {
  const std::string& origin = encoding::text_member(entry.data, "origin");
  const bool lost = entry.data.contains("lost");
  require(origin == "restored" || origin == "transferee" || (origin == "returned" && lost),
          "a restored MEK of origin '" + origin + "'");
  MekHistory mek = new_history(entry, origin);
  const auto known = state.meks.find(mek.id);
  require(known != state.meks.end() || !lost, "a lost MEK that was never here");
  if (known != state.meks.end()) {
    const std::string& was = known->second.state;
    if (lost)
      follow_lost(mek, known->second, entry.data);
    else
      require(was == "failed" || was == "destroyed", "a MEK id that is in use");
    follow_use(mek, known->second);
  }
  follow_exposure(mek, entry.data);
  require(is_free_label(state, mek.label, mek.id), "a second MEK of one label");
  state.meks[mek.id] = std::move(mek);
}

// The token lost an imported key, and its file brings it back: the same one, by its check value.
void import_lost(State& state, MekHistory mek, const encoding::Json& data) {
  const auto known = state.meks.find(mek.id);
  require(known != state.meks.end(), "a lost MEK that was never here");
  require(known->second.origin == "imported", "a lost MEK that was not imported");
  require(known->second.check_value == mek.check_value, "another key than the lost one");
  follow_any_lost(mek, known->second, data);
  follow_use(mek, known->second);
  known->second = std::move(mek);
}

void begin_import(State& state, const Entry& entry) {
  MekHistory mek = new_history(entry, "imported");
  const bool lost = entry.data.contains("lost");
  require(lost || !state.meks.contains(mek.id), "a MEK id that was used before");
  mek.check_value = encoding::hex_member(entry.data, "check_value", kImportCheckSize);
  if (lost) return import_lost(state, std::move(mek), entry.data);
  require(imported_before(state, mek.check_value) == nullptr, "a key that was imported before");
  require(is_free_label(state, mek.label), "a second MEK of one label");
  const Bytes id = mek.id;
  state.meks.emplace(id, std::move(mek));
}

void end_arrival(State& state, const Entry& entry, const OpenIntent& intent) {
  MekHistory& mek = known_mek(state, intent.data, "an unknown MEK");
  mek.state = entry.outcome == "ok" && mek.suspended ? "suspended" : entry.outcome;
  if (entry.outcome != "failed" || !intent.data.contains("lost")) return;
  mek.state = mek.before;  // and lost as before
  mek.origin = encoding::text_member(intent.data, "lost");
}

void end_recovery_key(State& state, const Entry& entry, const OpenIntent& /*intent*/) {
  if (entry.outcome != "ok") return;
  const std::string& file = encoding::text_member(entry.data, "file");
  const std::string& digest = encoding::hex_member(entry.data, "recovery_key_sha256", kDigestSize);
  require(digest == sha256_hex(from_base64(file)), "a recovery key's file of another digest");
  state.recovery_keys[digest] = file;
}

void end_drill(State& state, const Entry& entry, const OpenIntent& intent) {
  if (entry.outcome != "ok") return;
  state.drills[bytes_member(intent.data, "mek_id", kMekIdSize)] =
      static_cast<UnixTime>(encoding::uint_member(entry.data, "expires"));
}

}  // namespace

const MekHistory* imported_before(const State& state, const std::string& check_value) {
  const auto was_imported = [](const MekHistory& mek) {
    return mek.state != "failed" && mek.before != "failed";
  };
  for (const auto& [id, mek] : state.meks)
    if (mek.check_value == check_value && was_imported(mek)) return &mek;
  return nullptr;
}

const Kind kMekSuspend{"mek-suspend", suspend};
const Kind kMekResume{"mek-resume", resume};
const Kind kMekDestroy{"mek-destroy", nullptr, begin_destroy, end_destroy};
const Kind kMekBackup{"mek-backup", nullptr, begin_backup, end_backup, wrap_backup};
const Kind kMekRestore{"mek-restore", nullptr, begin_restore, end_arrival};
const Kind kMekImport{"mek-import", nullptr, begin_import, end_arrival};
const Kind kMekDrill{"mek-drill", nullptr, nothing, end_drill};
const Kind kShred{"shred", nullptr, nothing, unchanged};
const Kind kRecoveryKey{"recovery-key", nullptr, nothing, end_recovery_key};
const Kind kPinChange{"pin-change", nullptr, nothing, unchanged};
const Kind kLeftovers{"leftovers", nothing};

}  // namespace qpcseal::audit
