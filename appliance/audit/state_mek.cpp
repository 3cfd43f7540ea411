// SPDX-License-Identifier: Apache-2.0
// The life of MEKs: made, and used to seal.
#include <algorithm>

#include "appliance/audit/state_kinds.h"

namespace qpcseal::audit {

namespace {

void begin_generate(State& state, const Entry& entry) {
  MekHistory mek;
  mek.id = bytes_member(entry.data, "mek_id", kMekIdSize);
  mek.label = encoding::text_member(entry.data, "label");
  mek.generation = encoding::uint_member(entry.data, "generation");
  mek.created = entry.time;
  mek.state = "pending";
  const Bytes id = mek.id;
  require(!state.meks.contains(id), "a MEK id that was used before");
  require(is_free_label(state, mek.label), "a second MEK of one label");
  state.meks.emplace(id, std::move(mek));
}

// Takes the place of another generation of the same name, and is newer than all of them.
void begin_rotate(State& state, const Entry& entry) {
  const auto replaced = state.meks.find(bytes_member(entry.data, "replaces", kMekIdSize));
  require(replaced != state.meks.end(), "a rotation of an unknown MEK");
  const std::string label = encoding::text_member(entry.data, "label");
  const std::string name = label.substr(0, label.rfind('#') + 1);
  const std::uint64_t generation = encoding::uint_member(entry.data, "generation");
  require(replaced->second.label.starts_with(name), "a rotation to another name");
  for (const auto& [id, mek] : state.meks)
    require(!mek.label.starts_with(name) || mek.generation < generation, "a generation that does not rise");
  begin_generate(state, entry);
}

void end_generate(State& state, const Entry& entry, const OpenIntent& intent) {
  known_mek(state, intent.data, "an unknown MEK").state = entry.outcome;
}

// What officers approved the sealing of.
void check_input_digest(const encoding::Json& intent) {
  if (intent.contains("input_sha256")) encoding::hex_member(intent, "input_sha256", kDigestSize);
}

// A set's models are sealed one by one while it is open.
void begin_set(State& state, const Entry& entry) {
  check_input_digest(entry.data);
  encrypting_mek(state, entry.data, "a set");
}

void end_set(State& /*state*/, const Entry& entry, const OpenIntent& /*intent*/) {
  if (entry.outcome == "ok") encoding::hex_member(entry.data, "manifest_sha256", kDigestSize);
}

void require_open_set(const State& state, const Entry& entry) {
  const auto set = state.open.find(encoding::uint_member(entry.data, "set"));
  require(
      set != state.open.end() && set->second.kind == kSealSet.name &&
          encoding::text_member(set->second.data, "mek_id") == encoding::text_member(entry.data, "mek_id"),
      "a seal of a set that is not open");
}

// Counted before they happen: what fails half way has used some of them.
void begin_seal(State& state, const Entry& entry) {
  if (entry.data.contains("set")) require_open_set(state, entry);
  check_input_digest(entry.data);
  count_encryptions(encrypting_mek(state, entry.data, "a seal"), entry.data);
}

void end_seal(State& state, const Entry& entry, const OpenIntent& /*intent*/) {
  if (entry.outcome != "ok") return;
  state.sealed.insert(encoding::hex_member(entry.data, "manifest_sha256", kDigestSize));
  const encoding::Json& partitions = encoding::member(entry.data, "partitions");
  require(partitions.is_array(), "partitions are no list");
  for (const encoding::Json& partition : partitions)
    state.sealed.insert(encoding::hex_member(partition, "manifest_sha256", kDigestSize));
}

}  // namespace

MekHistory& encrypting_mek(State& state, const encoding::Json& data, const std::string& act) {
  MekHistory& mek = known_mek(state, data, act + " under an unknown MEK");
  require(mek.state == "ok", act + " under a MEK that is '" + mek.state + "'");
  require(mek.origin != "restored", act + " under a MEK that only wraps");
  return mek;
}

void count_encryptions(MekHistory& mek, const encoding::Json& data) {
  const std::uint64_t more = encoding::uint_member(data, "encryptions");
  require(mek.encryptions + more >= mek.encryptions, "an encryption count that no number holds");
  mek.encryptions += more;
}

bool is_free_label(const State& state, const std::string& label, const Bytes& but) {
  return std::ranges::none_of(state.meks, [&](const auto& item) {
    const MekHistory& mek = item.second;
    return mek.label == label && mek.id != but && mek.state != "failed" && mek.state != "destroyed";
  });
}

const Kind kMekGenerate{"mek-generate", nullptr, begin_generate, end_generate};
const Kind kMekRotate{"mek-rotate", nullptr, begin_rotate, end_generate};
const Kind kSeal{"seal", nullptr, begin_seal, end_seal};
const Kind kSealSet{"seal-set", nullptr, begin_set, end_set};

}  // namespace qpcseal::audit
