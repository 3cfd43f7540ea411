// SPDX-License-Identifier: Apache-2.0
// A log read whole and verified: checkpoint signature, tree, and every entry in its place. Needs neither
// token nor lock.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "appliance/audit/state.h"
#include "appliance/audit/store.h"
#include "tlog/checkpoint.h"

namespace qpcseal::audit {

// The lines that a checkpoint covers, in their file: 8 bytes of memory a line.
class CoveredLines {
 public:
  CoveredLines() = default;
  // They begin at byte `from`.
  CoveredLines(Fd file, std::uint64_t from) : file_(std::move(file)), starts_{from} {}
  void add(std::size_t size) { starts_.push_back(starts_.back() + size + 1); }  // without its line feed

  [[nodiscard]] const Fd& file() const { return file_; }
  [[nodiscard]] std::uint64_t count() const { return starts_.size() - 1; }
  [[nodiscard]] std::uint64_t start(std::uint64_t seq) const { return starts_.at(seq); }  // bytes
  [[nodiscard]] std::uint64_t end() const { return starts_.back(); }
  [[nodiscard]] std::uint64_t size() const { return starts_.back() - starts_.front(); }  // bytes

 private:
  Fd file_;
  std::vector<std::uint64_t> starts_{0};  // of each line; plus the end
};

// The entries stay in their file, which is read again where they are asked for: each line that comes back is
// held against its leaf in the tree, so that it is the line that was verified.
struct LogCopy {
  State state;
  tlog::Checkpoint checkpoint;
  std::string note;  // the signed checkpoint
  tlog::Tree tree;
  tlog::VerifierKey key;          // that signed it
  CoveredLines lines;             // none after Check::Proofs
  std::string tail;               // what lies behind them: an append that is under way or was cut short
  std::uint64_t last_append = 0;  // number of the first entry of the last append that is covered

  // Entry `seq`, without its line feed. Error{LogDamaged} where it changed since; Error{Io}.
  [[nodiscard]] std::string line(std::uint64_t seq) const;
  // Entries from `from` to before `to` in order, until `take` says that it is enough. Errors as line().
  void each(std::uint64_t from, std::uint64_t to,
            const std::function<bool(std::uint64_t seq, std::string_view line)>& take) const;
  // All of them.
  void each(const std::function<void(std::uint64_t seq, std::string_view line)>& take) const;
};

// Everything: checkpoint, tree, and what the entries say, replayed. Proofs: checkpoint, tree, and the form
// and chain of the entries; `state` then has but size, last time and log keys, and the lines are not kept.
enum class Check { Everything, Proofs };

// `key`: who signed the log from its first entry on; nothing: the key that the genesis entry names, which
// proves no more than that the log agrees with itself. Error{LogDamaged} naming the first bad entry;
// Error{Io}.
LogCopy read_log(const std::filesystem::path& dir, const std::optional<tlog::VerifierKey>& key,
                 Check check = Check::Everything);
// What read_log() gives for Check::Proofs, in one pass over the file and in the memory of the tree. Nothing
// where anything at all does not hold, or a writer is at work: read_log() then looks at the whole, and says
// what is wrong.
std::optional<LogCopy> stream_log(const Store& store, const std::string& note,
                                  const std::optional<tlog::VerifierKey>& key);
// As read_log(), of entries that are `size` bytes of a file from byte `from` on, as a backup has them, and of
// the checkpoint's text; what lies behind the checkpoint is in `tail`.
LogCopy read_log(Fd file, std::uint64_t from, std::uint64_t size, std::string checkpoint,
                 const std::optional<tlog::VerifierKey>& key);

// Whether the entries `lines` follow on those that `tree` and `state` hold, and end at the checkpoint: both
// are brought up to it. Error{Malformed} or Error{LogDamaged} naming the entry.
void replay(const std::vector<std::string_view>& lines, tlog::Tree& tree, State& state);

}  // namespace qpcseal::audit
