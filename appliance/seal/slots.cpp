// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/slots.h"

#include <algorithm>

#include "appliance/seal/layout.h"
#include "base/error.h"

namespace qpcseal::seal {

namespace {

void append_slot(Bytes& page, const Bytes& content, std::size_t end) {
  if (content.empty() || content.size() > kMaxSlotContent)
    throw Error(ErrorKind::Malformed,
                "a MEK slot holds 1 to 1022 bytes, not " + std::to_string(content.size()));
  append_lp16(page, content);
  page.resize(end);
}

Bytes read_slot(ByteView slot) {
  ByteReader reader(slot, "MEK slot");
  return copy(reader.lp16());
}

}  // namespace

Bytes encode_slots(const Slots& slots) {
  Bytes page;
  append_slot(page, slots.encrypt, kSlotSize);
  append_slot(page, slots.nonce, 2 * kSlotSize);
  append_slot(page, slots.pub, 3 * kSlotSize);
  page.resize(kPageSize);
  return page;
}

std::optional<Slots> parse_slots(ByteView page) {
  if (page.size() != kPageSize) throw Error(ErrorKind::Malformed, "the page of MEK slots has 4096 bytes");
  if (std::all_of(page.begin(), page.end(), [](std::uint8_t byte) { return byte == 0; })) return std::nullopt;
  Slots out{read_slot(page.first(kSlotSize)), read_slot(page.subspan(kSlotSize, kSlotSize)),
            read_slot(page.subspan(2 * kSlotSize, kSlotSize))};
  if (!equal(encode_slots(out), page))
    throw Error(ErrorKind::Malformed, "the page of MEK slots has bytes that belong to none");
  return out;
}

std::optional<WrapHead> parse_wrap_head(ByteView encrypt) {
  constexpr std::string_view kWrapMagic = "QMEK\1";
  constexpr std::size_t kMekId = 16, kWrapHead = kWrapMagic.size() + 1 + kMekId;
  if (encrypt.size() <= kWrapHead || text_view(encrypt.first(kWrapMagic.size())) != kWrapMagic)
    return std::nullopt;
  return WrapHead{encrypt[kWrapMagic.size()], copy(encrypt.subspan(kWrapMagic.size() + 1, kMekId))};
}

}  // namespace qpcseal::seal
