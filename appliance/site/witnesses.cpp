// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/witnesses.h"

#include <algorithm>

#include "appliance/site/logged_act.h"
#include "appliance/site/seen_checkpoints.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

// The trusted witness that signed the note, or nothing.
std::optional<tlog::WitnessKey> witness_of(const audit::State& state, const tlog::Note& note) {
  for (const std::string& vkey : state.witness_keys) {
    tlog::WitnessKey key = tlog::WitnessKey::parse(vkey);
    const auto is_its = [&](const auto& one) { return one.name == key.name() && one.id == key.id(); };
    if (std::ranges::any_of(note.signatures, is_its)) return key;
  }
  return std::nullopt;
}

std::filesystem::path file_of(const Home& home, const tlog::WitnessKey& key) {
  return home.witness() / (to_hex(key.id()) + ".note");
}

// The key's text.
std::string check_change(const audit::State& state, const std::string& vkey, bool trusted) {
  std::string text = tlog::WitnessKey::parse(vkey).text();
  if (state.witness_keys.contains(text) == trusted)
    throw Error(ErrorKind::Usage,
                trusted ? "this witness is trusted already" : "this witness is not trusted");
  return text;
}

Json change_parameters(const std::string& vkey, bool trusted) {
  return {{"vkey", vkey}, {"change", trusted ? "trust" : "distrust"}};
}

}  // namespace

void look_at_trust(const Outlook& outlook, const std::string& vkey, bool trusted) {
  const std::string text = check_change(outlook.state, vkey, trusted);
  static_cast<void>(judge_act(outlook, "witness-change", change_parameters(text, trusted)));
}

void trust_witness(Appliance& appliance, const std::string& vkey, bool trusted) {
  const std::string text = check_change(appliance.log().state(), vkey, trusted);
  const Json approval = appliance.approve("witness-change", change_parameters(text, trusted));
  appliance.log().event("witness-key", with_approval({{"vkey", text}, {"trusted", trusted}}, approval));
  if (trusted) return;
  const std::filesystem::path note = file_of(appliance.home(), tlog::WitnessKey::parse(text));
  after_result("the witness is trusted no more", "remove " + note.string(),
               [&] { std::filesystem::remove(note); });
}

SeenByWitness check_cosigned(const Outlook& outlook, const std::string& note) {
  const audit::State& state = outlook.state;
  const auto key = witness_of(state, tlog::parse_note(note));
  if (!key)
    throw Error(ErrorKind::Denied, "no witness that this site trusts has signed it",
                "'qpcseal audit witness trust VKEY' names one");
  tlog::Cosigned seen = tlog::open_cosigned(note, *key);
  require_as_long(state, seen.checkpoint, "what " + key->name() + " saw");
  require_continues(state, outlook.tree(), note, "the checkpoint that " + key->name() + " signed");
  const auto known = state.witnessed.find(key->text());
  if (known != state.witnessed.end() && known->second.size > seen.checkpoint.size)
    throw Error(ErrorKind::Usage, "a later checkpoint of " + key->name() + " is known already, of " +
                                      std::to_string(known->second.size) + " entries");
  return {*key, std::move(seen)};
}

Witnessing import_witness(Appliance& appliance, const std::string& note) {
  const auto [key, seen] = check_cosigned(appliance.outlook(), note);
  const std::uint64_t entry =
      appliance.log().event("witness", {{"vkey", key.text()},
                                        {"note", note},
                                        {"size", seen.checkpoint.size},
                                        {"root", to_hex(seen.checkpoint.root)},
                                        {"witness_time", static_cast<std::uint64_t>(seen.time)}});
  after_result("the witness's checkpoint is in the log", "import it again", [&] {
    make_folder(appliance.home().witness());
    write_file(file_of(appliance.home(), key), view(note), Existing::Replace, 0600);
  });
  return {key.text(), seen.checkpoint.size, seen.time, entry};
}

}  // namespace qpcseal::site
