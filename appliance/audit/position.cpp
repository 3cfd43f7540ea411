#include "appliance/audit/position.h"

#include <algorithm>

#include "appliance/audit/chain.h"
#include "appliance/audit/snapshot.h"
#include "base/error.h"

namespace qpcseal::audit {

namespace {

Error does_not_fit() { return {ErrorKind::LogDamaged, "the snapshot is not of this log"}; }

// The log from its snapshot on. Whatever does not hold is an Error; the whole is then replayed, and says what
// is wrong with the log, if anything is.
Position resume(const Store& store, OpenedSnapshot opened) {
  Position at(std::move(opened.key));
  Snapshot& snapshot = opened.snapshot;
  at.note = store.read_checkpoint();
  at.checkpoint = open_checkpoint(at.note, at.key);
  if (at.checkpoint.size < snapshot.state.size) throw does_not_fit();
  store.digest_entries(snapshot.bytes, at.written);
  if (at.written.so_far() != snapshot.digest) throw does_not_fit();
  at.recent = store.read_entries(snapshot.bytes);
  Lines lines = split_lines(at.recent);
  const std::uint64_t fresh = at.checkpoint.size - snapshot.state.size;
  if (lines.size() < fresh) throw does_not_fit();
  lines.resize(fresh);
  std::size_t covered = 0;
  for (const std::string_view line : lines) covered += line.size() + 1;
  at.tail = at.recent.substr(covered);
  if (!is_one_append(split_lines(at.tail))) throw does_not_fit();
  at.in_snapshot = snapshot.state.size;
  at.state = std::move(snapshot.state);
  at.tree = std::move(snapshot.tree);
  replay(lines, at.tree, at.state);
  if (at.tree.root() != at.checkpoint.root || VerifierKey::parse(at.state.log_keys.back().vkey) != at.key)
    throw does_not_fit();
  at.recent.resize(covered);
  at.end = snapshot.bytes + covered;
  at.written.update(view(at.recent));
  return at;
}

std::optional<Position> try_snapshot(const Store& store, std::uint64_t newest) {
  try {
    const auto bytes = store.read_snapshot();
    if (!bytes) return std::nullopt;
    auto opened = open_snapshot(*bytes);
    if (!opened || opened->snapshot.state.size > newest) return std::nullopt;
    return resume(store, std::move(*opened));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Internal) throw;
    return std::nullopt;
  }
}

}  // namespace

Position find_position(const std::filesystem::path& folder, std::uint64_t newest) {
  if (auto found = try_snapshot(Store::open_to_read(folder), newest)) return std::move(*found);
  LogCopy copy = read_log(folder, std::nullopt);
  Position at(std::move(copy.key));
  at.state = std::move(copy.state);
  at.checkpoint = copy.checkpoint;
  at.note = std::move(copy.note);
  at.end = copy.lines.end();
  store.digest_entries(at.end, at.written);
  copy.each(std::min(newest, at.checkpoint.size), at.checkpoint.size,
            [&](std::uint64_t, std::string_view line) {
              at.recent += std::string(line) + "\n";
              return true;
            });
  at.tree = std::move(copy.tree);
  at.tail = std::move(copy.tail);
  return at;
}

}  // namespace qpcseal::audit
