// SPDX-License-Identifier: Apache-2.0
// What entries say about each other: which one of a damaged log is the first that is not as it was written,
// and whether lines behind a checkpoint can be what one interrupted append leaves.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/audit/entry.h"
#include "tlog/checkpoint.h"

namespace qpcseal::audit {

using Lines = std::vector<std::string_view>;

// For lines of which the first do not give the checkpoint's root (or are too few): a sentence naming the
// first bad entry. Each entry names the hash of the one before, so that a change shows at its successor;
// where all of them were written anew, only the end is known to be wrong.
std::string first_bad(const Lines& lines, const tlog::Checkpoint& checkpoint);

// Whether an entry is number `seq`, names the hash of the one before (zeros for the first), and is not of a
// time before `since`, unless it sets the clock back. Error{Malformed}.
void check_follows(const EntryView& entry, std::uint64_t seq, const tlog::Hash& before, UnixTime since);

// One append writes the entries of one transaction and one phase. The last of `lines` may be cut short.
[[nodiscard]] bool is_one_append(std::span<const std::string_view> lines);

// Where the last append begins, of entries that are taken in order.
class LastAppend {
 public:
  void take(const EntryView& entry);
  [[nodiscard]] std::uint64_t begin() const { return begin_; }  // number of its first entry

 private:
  std::uint64_t begin_ = 0;
  std::string txn_;
  Phase phase_ = Phase::Event;
};

// "entry 7"
std::string entry_name(std::uint64_t seq);

}  // namespace qpcseal::audit
