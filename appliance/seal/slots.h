// SPDX-License-Identifier: Apache-2.0
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

// The front of MEK.encrypt: "QMEK" | version 1 | suite | MEK id[16] | wrapped key (FORMAT.md section 3).
struct WrapHead {
  unsigned suite = 0;
  Bytes mek_id;  // 16
};
// Nothing where it does not begin so.
std::optional<WrapHead> parse_wrap_head(ByteView encrypt);

}  // namespace qpcseal::seal
