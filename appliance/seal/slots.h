// The page of MEK slots (FORMAT.md section 2): the only bytes that binding touches.
#pragma once

#include <optional>

#include "base/bytes.h"

namespace qpcseal::seal {

struct Slots {
  Bytes encrypt, nonce, pub;  // each 1 to 1022 bytes
  bool operator==(const Slots&) const = default;
};

inline constexpr std::size_t kMaxSlotContent = 1022;  // bytes

// 4096 bytes.
Bytes encode_slots(const Slots& slots);
// Nothing where the page is all zero: unbound. Error{Malformed} for anything encode_slots would not write.
std::optional<Slots> parse_slots(ByteView page);

}  // namespace qpcseal::seal
