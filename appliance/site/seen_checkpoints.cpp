// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/seen_checkpoints.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"

namespace qpcseal::site {

namespace {

// The checkpoint as the log's own key signed it.
tlog::Checkpoint own_checkpoint(const audit::State& state, const std::string& note, const std::string& what) {
  for (const audit::LogKey& key : state.log_keys) {
    const auto verifier = tlog::VerifierKey::parse(key.vkey);
    const tlog::Note parts = tlog::parse_note(note);
    const auto is_its = [&](const auto& one) {
      return one.name == verifier.name() && one.id == verifier.id();
    };
    if (std::ranges::any_of(parts.signatures, is_its))
      return with_context(what, [&] { return tlog::open_checkpoint(note, verifier); });
  }
  throw Error(ErrorKind::LogDamaged, what + " was not signed by any key that this log knows of",
              "an older log was put back, or it is a checkpoint of another log");
}

// Whether the log itself says that a witness saw this: then it was held against the whole tree at the time.
bool is_recorded(const audit::State& state, const tlog::Checkpoint& seen) {
  return std::ranges::any_of(state.witnessed, [&](const auto& one) {
    return one.second.size == seen.size && one.second.root == to_hex(seen.root);
  });
}

std::string read_note(const std::filesystem::path& path) {
  return read_text_file(path, tlog::kMaxCheckpointSize);
}

}  // namespace

void require_as_long(const audit::State& state, const tlog::Checkpoint& seen, const std::string& what) {
  if (seen.size > state.size)
    throw Error(ErrorKind::LogDamaged, "the audit log was rolled back: it has " + std::to_string(state.size) +
                                           " entries, " + what + " has " + std::to_string(seen.size));
}

void require_continues(const audit::State& state, const tlog::Tree& tree, const std::string& note,
                       const std::string& what) {
  const tlog::Checkpoint seen = own_checkpoint(state, note, what);
  require_as_long(state, seen, what);
  if (seen.size == 0 || tree.root(seen.size) != seen.root)
    throw Error(ErrorKind::LogDamaged, "the audit log does not continue from " + what + ": it was rewritten");
}

namespace {

// Error{Malformed} for a note that is damaged: whatever the witness saw, it says again.
tlog::Checkpoint checkpoint_in_note(const audit::State& state, const std::string& note,
                                    const std::string& what) {
  try {
    return own_checkpoint(state, note, what);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    throw Error(error.kind(), what + " is damaged: " + error.what(),
                "move it away, and take the witness's latest note in again: 'qpcseal audit witness import'");
  }
}

// `tree` gives the whole tree, which may have to be read for it.
template <typename WholeTree>
void check_notes(const Home& home, const audit::State& state, WholeTree tree) {
  if (!std::filesystem::exists(home.witness())) return;
  for (const auto& item : std::filesystem::directory_iterator(home.witness())) {
    if (item.path().extension() != ".note") continue;  // what a run that was killed left of one
    const std::string note = read_note(item.path()), what = item.path().string();
    const tlog::Checkpoint seen = checkpoint_in_note(state, note, what);
    require_as_long(state, seen, what);
    if (!is_recorded(state, seen)) require_continues(state, tree(), note, what);
  }
}

}  // namespace

std::optional<std::uint64_t> size_signed_by(const audit::State& state, const std::string& note) {
  try {
    return own_checkpoint(state, note, "checkpoint").size;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::LogDamaged && error.kind() != ErrorKind::Malformed) throw;
    return std::nullopt;
  }
}

void check_witnesses(const Home& home, const audit::Log& log) {
  check_notes(home, log.state(), [&]() -> const tlog::Tree& { return log.tree(); });
}

void check_witnesses(const Home& home, const audit::LogCopy& log) {
  check_notes(home, log.state, [&]() -> const tlog::Tree& { return log.tree; });
}

}  // namespace qpcseal::site
