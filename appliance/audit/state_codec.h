// SPDX-License-Identifier: Apache-2.0
// The state in bytes, for snapshots: every member of State and of its parts, in the order in which they are
// declared. Integers are u64be, bool is one byte (0, 1), texts and bytes u32be length and content; lists,
// sets and maps u32be count and items, maps and sets in ascending order; optional values a bool first; JSON
// as its canonical text. A PackedMap is u64be count | u64be size | its items (packed_pages.h), in which
// values are packed more closely, and are decoded when they are looked up.
#pragma once

#include "appliance/audit/state.h"

namespace qpcseal::audit {

void encode_state(Bytes& out, const State& state);
// Error{Malformed} for what encode_state would not write.
// `owner`: of the bytes that are read, which the state then holds; null: they are copied.
State decode_state(ByteReader& reader, const std::shared_ptr<const void>& owner = nullptr);

}  // namespace qpcseal::audit
