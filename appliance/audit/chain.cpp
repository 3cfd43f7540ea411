// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/chain.h"

#include <algorithm>
#include <optional>

#include "base/error.h"

namespace qpcseal::audit {

namespace {

constexpr const char* kChanged = " was changed after it was written";

std::optional<Entry> readable(std::string_view line) {
  try {
    return parse_entry(line);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Entry i does not name the hash that entry i - 1 has now. The changed one is i itself where its successor
// does not know it either; for the last entry, the signed root decides.
std::uint64_t changed_of_pair(const Lines& lines, std::uint64_t i, const tlog::Hash& named,
                              const tlog::Checkpoint& signed_) {
  if (i == 0) return 0;
  if (i + 1 < signed_.size) {
    const auto next = i + 1 < lines.size() ? readable(lines[i + 1]) : std::nullopt;
    return next && next->prev == tlog::leaf_hash(view(lines[i])) ? i - 1 : i;
  }
  tlog::Tree tree;
  for (std::uint64_t k = 0; k < signed_.size; ++k)
    tree.append(k == i - 1 ? named : tlog::leaf_hash(view(lines[k])));
  return tree.root() == signed_.root ? i - 1 : i;
}

// Entry i has the number of the one before. That one was inserted where the entry behind them follows on
// entry i; else, and where nothing follows, entry i is the one too many.
std::string one_too_many(const Lines& lines, std::uint64_t i) {
  const auto next = i + 1 < lines.size() ? readable(lines[i + 1]) : std::nullopt;
  const bool inserted = next && next->prev == tlog::leaf_hash(view(lines[i])) &&
                        next->prev != tlog::leaf_hash(view(lines[i - 1]));
  if (inserted) return entry_name(i - 1) + " was inserted: another of that number follows it";
  return entry_name(i) + " is missing: entry " + std::to_string(i - 1) + " stands in its place";
}

}  // namespace

std::string entry_name(std::uint64_t seq) { return "entry " + std::to_string(seq); }

std::string first_bad(const Lines& lines, const tlog::Checkpoint& checkpoint) {
  tlog::Hash prev{};
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(lines.size(), checkpoint.size); ++i) {
    Entry entry;
    try {
      entry = parse_entry(lines[i]);
    } catch (const Error& error) {
      return entry_name(i) + ": " + error.what();
    }
    if (i > 0 && entry.seq == i - 1) return one_too_many(lines, i);
    if (entry.seq != i)
      return entry_name(i) + " is missing: entry " + std::to_string(entry.seq) + " stands in its place";
    if (entry.prev != prev) return entry_name(changed_of_pair(lines, i, entry.prev, checkpoint)) + kChanged;
    prev = tlog::leaf_hash(view(lines[i]));
  }
  if (lines.size() < checkpoint.size)
    return entry_name(lines.size()) + " is missing: the checkpoint covers " +
           std::to_string(checkpoint.size) + " entries";
  return entry_name(checkpoint.size - 1) + kChanged +
         ", or so was one before it and all that follow were written anew, or the checkpoint is another "
         "log's";
}

void check_follows(const EntryView& entry, std::uint64_t seq, const tlog::Hash& before, UnixTime since) {
  if (entry.seq != seq) throw Error(ErrorKind::Malformed, "its number is " + std::to_string(entry.seq));
  if (entry.prev != before) throw Error(ErrorKind::Malformed, "it does not follow the entry before");
  if (entry.time < since && !sets_clock_back(entry.kind, entry.phase))
    throw Error(ErrorKind::Malformed, "its time lies before that of the entry before");
}

void LastAppend::take(const EntryView& entry) {
  if (entry.txn == txn_ && entry.phase == phase_) return;
  begin_ = entry.seq;
  txn_ = entry.txn;
  phase_ = entry.phase;
}

bool is_one_append(std::span<const std::string_view> lines) {
  std::optional<Entry> first;
  for (const std::string_view line : lines) {
    auto entry = readable(line);
    if (!entry) continue;  // what a crash leaves of a line
    if (first && (first->txn != entry->txn || first->phase != entry->phase)) return false;
    if (!first) first = std::move(entry);
  }
  return true;
}

}  // namespace qpcseal::audit
