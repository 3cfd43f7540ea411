// A log read whole and verified: checkpoint signature, tree, and every entry in its place. Needs neither
// token nor lock.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "appliance/audit/checkpoint.h"
#include "appliance/audit/state.h"
#include "appliance/audit/store.h"

namespace qpcseal::audit {

struct LogCopy {
  State state;
  Checkpoint checkpoint;
  std::string note;  // the signed checkpoint
  Tree tree;
  VerifierKey key;                  // that signed it
  std::string text;                 // the lines that the checkpoint covers
  std::vector<std::size_t> starts;  // of each line in text; plus the end
  std::string tail;                 // what lies behind them: an append that is under way or was cut short

  [[nodiscard]] std::string_view line(std::uint64_t seq) const {
    return std::string_view(text).substr(starts.at(seq), starts.at(seq + 1) - starts.at(seq) - 1);
  }
};

// Everything: checkpoint, tree, and what the entries say, replayed. Proofs: checkpoint, tree, and the form
// and chain of the entries; `state` then has but size, last time and log keys, and the lines are not kept.
enum class Check { Everything, Proofs };

// `key`: who signed the log from its first entry on; nothing: the key that the genesis entry names, which
// proves no more than that the log agrees with itself. Error{LogDamaged} naming the first bad entry;
// Error{Io}.
LogCopy read_log(const std::filesystem::path& folder, const std::optional<VerifierKey>& key,
                 Check check = Check::Everything);
// The same of the two files' texts, as a backup has them; what lies behind the checkpoint is in `tail`.
LogCopy read_log(std::string entries, std::string checkpoint, const std::optional<VerifierKey>& key);

// Whether the entries `lines` follow on those that `tree` and `state` hold, and end at the checkpoint: both
// are brought up to it. Error{Malformed} or Error{LogDamaged} naming the entry.
void replay(const std::vector<std::string_view>& lines, Tree& tree, State& state);

}  // namespace qpcseal::audit
