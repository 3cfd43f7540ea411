// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/position.h"

#include "appliance/audit/chain.h"
#include "appliance/audit/snapshot.h"
#include "base/error.h"

namespace qpcseal::audit {

namespace {

Error does_not_fit() { return {ErrorKind::LogDamaged, "the snapshot is not of this log"}; }

// The log from its snapshot on. Whatever does not hold is an Error; the whole is then replayed, and says what
// is wrong with the log, if anything is.
LogCursor resume(const Store& store, OpenedSnapshot opened) {
  LogCursor at(std::move(opened.key));
  Snapshot& snapshot = opened.snapshot;
  at.note = store.read_checkpoint();
  at.checkpoint = tlog::open_checkpoint(at.note, at.key);
  if (at.checkpoint.size < snapshot.state.size) throw does_not_fit();
  at.written = store.digest_entries(snapshot.bytes);
  if (at.written.peek() != snapshot.digest) throw does_not_fit();
  const std::string recent = store.read_entries(snapshot.bytes);
  Lines lines = split_lines(recent);
  const std::uint64_t fresh = at.checkpoint.size - snapshot.state.size;
  if (lines.size() < fresh) throw does_not_fit();
  lines.resize(fresh);
  std::size_t covered = 0;
  for (const std::string_view line : lines) covered += line.size() + 1;
  at.tail = recent.substr(covered);
  if (!is_one_append(split_lines(at.tail))) throw does_not_fit();
  at.in_snapshot = snapshot.state.size;
  at.state = std::move(snapshot.state);
  at.tree = std::move(snapshot.tree);
  replay(lines, at.tree, at.state);
  if (at.tree.root() != at.checkpoint.root ||
      tlog::VerifierKey::parse(at.state.log_keys.back().vkey) != at.key)
    throw does_not_fit();
  LastAppend last;
  for (const std::string_view line : lines) last.take(scan_entry(line));
  at.last_append = lines.empty() ? at.in_snapshot : last.begin();
  at.end = snapshot.bytes + covered;
  at.written.update(view(std::string_view(recent).substr(0, covered)));
  return at;
}

std::optional<LogCursor> try_snapshot(const Store& store, std::uint64_t newest) {
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

LogCursor find_position(const std::filesystem::path& dir, std::uint64_t newest) {
  const Store store = Store::open_to_read(dir);
  if (auto found = try_snapshot(store, newest)) return std::move(*found);
  LogCopy copy = read_log(dir, std::nullopt);
  LogCursor at(std::move(copy.key));
  at.state = std::move(copy.state);
  at.checkpoint = copy.checkpoint;
  at.note = std::move(copy.note);
  at.end = copy.lines.end();
  at.written = store.digest_entries(at.end);
  at.last_append = copy.last_append;
  at.tree = std::move(copy.tree);
  at.tail = std::move(copy.tail);
  return at;
}

tlog::Tree whole_tree(const std::filesystem::path& dir, const LogCursor& at) {
  if (at.tree.is_whole()) return at.tree;
  tlog::Tree tree;
  Store::open_to_read(dir).each_line([&](std::string_view line) {
    tree.append(tlog::leaf_hash(view(line)));
    return tree.size() < at.tree.size();
  });
  if (tree.root() != at.tree.root())
    throw Error(ErrorKind::LogDamaged, "the audit log's entries changed while this command ran");
  return tree;
}

}  // namespace qpcseal::audit
