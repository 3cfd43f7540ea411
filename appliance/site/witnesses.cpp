#include "appliance/site/witnesses.h"

#include <algorithm>

#include "appliance/site/logged_act.h"
#include "base/error.h"
#include "base/file.h"
#include "tlog/cosignature.h"

namespace qpcseal::release {

namespace {

using audit::Json;

// The checkpoint as the log's own key signed it.
audit::Checkpoint own_checkpoint(const audit::State& state, const std::string& note,
                                 const std::string& what) {
  for (const audit::LogKey& key : state.log_keys) {
    const auto verifier = audit::VerifierKey::parse(key.vkey);
    const audit::Note parts = audit::parse_note(note);
    const auto is_its = [&](const auto& one) {
      return one.name == verifier.name() && one.id == verifier.id();
    };
    if (std::ranges::any_of(parts.signatures, is_its))
      return with_context(what, [&] { return audit::open_checkpoint(note, verifier); });
  }
  throw Error(ErrorKind::LogDamaged, what + " was not signed by any key that this log knows of",
              "an older log was put back, or it is a checkpoint of another log");
}

void require_as_long(const audit::State& state, const audit::Checkpoint& seen, const std::string& what) {
  if (seen.size > state.size)
    throw Error(ErrorKind::LogDamaged, "the audit log was rolled back: it has " + std::to_string(state.size) +
                                           " entries, " + what + " has " + std::to_string(seen.size));
}

// The trusted witness that signed the note, or nothing.
std::optional<audit::WitnessKey> witness_of(const audit::State& state, const audit::Note& note) {
  for (const std::string& vkey : state.witness_keys) {
    audit::WitnessKey key = audit::WitnessKey::parse(vkey);
    const auto is_its = [&](const auto& one) { return one.name == key.name() && one.id == key.id(); };
    if (std::ranges::any_of(note.signatures, is_its)) return key;
  }
  return std::nullopt;
}

std::filesystem::path file_of(const Home& home, const audit::WitnessKey& key) {
  return home.witness() / (to_hex(key.id()) + ".note");
}

// Whether the log itself says that a witness saw this: then it was held against the whole tree at the time.
bool is_recorded(const audit::State& state, const audit::Checkpoint& seen) {
  return std::ranges::any_of(state.witnessed, [&](const auto& one) {
    return one.second.size == seen.size && one.second.root == to_hex(seen.root);
  });
}

std::string read_note(const std::filesystem::path& path) {
  return read_text_file(path, audit::kMaxCheckpointSize);
}

// `tree` gives the whole tree, which may have to be read for it.
template <typename WholeTree>
void check_notes(const Home& home, const audit::State& state, WholeTree tree) {
  if (!std::filesystem::exists(home.witness())) return;
  for (const auto& item : std::filesystem::directory_iterator(home.witness())) {
    if (item.path().extension() != ".note") continue;  // what a run that was killed left of one
    const std::string note = read_note(item.path()), what = item.path().string();
    const audit::Checkpoint seen = own_checkpoint(state, note, what);
    require_as_long(state, seen, what);
    if (!is_recorded(state, seen)) require_continues(state, tree(), note, what);
  }
}

}  // namespace

void trust_witness(Appliance& appliance, const std::string& vkey, bool trusted) {
  const std::string text = audit::WitnessKey::parse(vkey).text();
  if (appliance.log().state().witness_keys.contains(text) == trusted)
    throw Error(ErrorKind::Usage,
                trusted ? "this witness is trusted already" : "this witness is not trusted");
  const Json approval =
      appliance.approve("witness-change", {{"vkey", text}, {"change", trusted ? "trust" : "distrust"}});
  appliance.log().event("witness-key", with_approval({{"vkey", text}, {"trusted", trusted}}, approval));
  if (trusted) return;
  const std::filesystem::path note = file_of(appliance.home(), audit::WitnessKey::parse(text));
  after_result("the witness is trusted no more", "remove " + note.string(),
               [&] { std::filesystem::remove(note); });
}

void require_continues(const audit::State& state, const audit::Tree& tree, const std::string& note,
                       const std::string& what) {
  const audit::Checkpoint seen = own_checkpoint(state, note, what);
  require_as_long(state, seen, what);
  if (seen.size == 0 || tree.root(seen.size) != seen.root)
    throw Error(ErrorKind::LogDamaged, "the audit log does not continue from " + what + ": it was rewritten");
}

Witnessing import_witness(Appliance& appliance, const std::string& note) {
  const auto key = witness_of(appliance.log().state(), audit::parse_note(note));
  if (!key)
    throw Error(ErrorKind::Denied, "no witness that this site trusts has signed it",
                "'qpcseal audit witness trust VKEY' names one");
  const audit::Cosigned seen = audit::open_cosigned(note, *key);
  require_as_long(appliance.log().state(), seen.checkpoint, "what " + key->name() + " saw");
  const audit::State& state = appliance.log().state();
  require_continues(state, appliance.log().tree(), note, "the checkpoint that " + key->name() + " signed");
  const auto known = state.witnessed.find(key->text());
  if (known != state.witnessed.end() && known->second.size > seen.checkpoint.size)
    throw Error(ErrorKind::Usage, "a later checkpoint of " + key->name() + " is known already, of " +
                                      std::to_string(known->second.size) + " entries");
  const std::uint64_t entry =
      appliance.log().event("witness", {{"vkey", key->text()},
                                        {"note", note},
                                        {"size", seen.checkpoint.size},
                                        {"root", to_hex(seen.checkpoint.root)},
                                        {"witness_time", static_cast<std::uint64_t>(seen.time)}});
  after_result("the witness's checkpoint is in the log", "import it again", [&] {
    make_folder(appliance.home().witness());
    write_file(file_of(appliance.home(), *key), view(note), Existing::Replace, 0600);
  });
  return {key->text(), seen.checkpoint.size, seen.time, entry};
}

std::optional<std::uint64_t> size_signed_by(const audit::State& state, const std::string& note) {
  try {
    return own_checkpoint(state, note, "checkpoint").size;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::LogDamaged && error.kind() != ErrorKind::Malformed) throw;
    return std::nullopt;
  }
}

void check_witnesses(const Home& home, const audit::Log& log) {
  check_notes(home, log.state(), [&]() -> const audit::Tree& { return log.tree(); });
}

void check_witnesses(const Home& home, const audit::LogCopy& log) {
  check_notes(home, log.state, [&]() -> const audit::Tree& { return log.tree; });
}

}  // namespace qpcseal::release
