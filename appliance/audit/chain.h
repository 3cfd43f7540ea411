// What entries say about each other: which one of a damaged log is the first that is not as it was written,
// and whether lines behind a checkpoint can be what one interrupted append leaves.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/audit/checkpoint.h"

namespace qpcseal::audit {

using Lines = std::vector<std::string_view>;

// For lines that do not give the checkpoint's root (or are too few): a sentence naming the first bad entry.
// Each entry names the hash of the one before, so that a change shows at its successor.
std::string first_bad(const Lines& lines, const Checkpoint& checkpoint);

// One append writes the entries of one transaction and one phase. The last of `lines` may be cut short.
[[nodiscard]] bool is_one_append(std::span<const std::string_view> lines);

// "entry 7"
std::string entry_name(std::uint64_t seq);

}  // namespace qpcseal::audit
