// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/packed_pages.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal::audit {

namespace {

constexpr std::size_t kPage = 16384;  // bytes
constexpr unsigned kGroup = 7;        // bits of a varint in a byte
constexpr std::uint8_t kMore = 0x80;

Error malformed_pages(const char* what) {
  return {ErrorKind::Malformed, std::string("packed items: ") + what};
}

ByteView take_sized(ByteView& bytes) {
  const std::uint64_t size = take_varint(bytes);
  if (size > bytes.size()) throw malformed_pages("cut short");
  const ByteView out = bytes.first(size);
  bytes = bytes.subspan(size);
  return out;
}

PackedPages::Item take_item(ByteView& bytes) {
  const ByteView key = take_sized(bytes);
  return {key, take_sized(bytes)};
}

}  // namespace

void append_varint(Bytes& out, std::uint64_t value) {
  for (; value >= kMore; value >>= kGroup) out.push_back(static_cast<std::uint8_t>(value) | kMore);
  out.push_back(static_cast<std::uint8_t>(value));
}

std::uint64_t take_varint(ByteView& bytes) {
  std::uint64_t out = 0;
  for (unsigned shift = 0;; shift += kGroup) {
    if (bytes.empty()) throw malformed_pages("cut short");
    const std::uint8_t byte = bytes.front();
    bytes = bytes.subspan(1);
    out |= static_cast<std::uint64_t>(byte & (kMore - 1)) << shift;
    if (shift + kGroup > 64 && byte >> (64 - shift) != 0)
      throw malformed_pages("a number of more than 64 bits");
    if (byte < kMore) return out;
  }
}

bool is_less(ByteView a, ByteView b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
}

std::size_t PackedPages::size() const {
  std::size_t out = 0;
  for (const SharedBytes& page : pages_) out += page.bytes.size();
  return out;
}

PackedPages::Position PackedPages::next(Position position) const {
  ByteView rest = pages_.at(position.page).bytes.subspan(position.at);
  const std::size_t before = rest.size();
  static_cast<void>(take_item(rest));
  if (rest.empty()) return {position.page + 1, 0};
  return {position.page, position.at + before - rest.size()};
}

PackedPages::Item PackedPages::at(Position position) const {
  ByteView rest = pages_.at(position.page).bytes.subspan(position.at);
  return take_item(rest);
}

PackedPages::Position PackedPages::lower_bound(ByteView key) const {
  const auto behind = std::ranges::partition_point(pages_, [&](const SharedBytes& page) {
    ByteView bytes = page.bytes;
    return !is_less(key, take_item(bytes).key);
  });
  if (behind == pages_.begin()) return begin();
  Position position{static_cast<std::size_t>(behind - pages_.begin()) - 1, 0};
  const std::size_t page = position.page;
  while (position.page == page && is_less(at(position).key, key)) position = next(position);
  return position;
}

void PackedPages::drop_before(std::size_t page) {
  for (std::size_t i = page; i > 0 && pages_[i - 1].owner; --i) pages_[i - 1] = {};
}

PackedPages PackedPages::read(ByteView items, std::uint64_t count, const std::shared_ptr<const void>& owner) {
  PackedPages out;
  const SharedBytes held = owner ? SharedBytes{owner, items} : share(copy(items));
  std::optional<ByteView> last;
  for (ByteView rest = held.bytes, page = rest; !rest.empty();) {
    const ByteView key = take_item(rest).key;
    if (last && !is_less(*last, key)) throw malformed_pages("not in order");
    last = key;
    ++out.count_;
    const std::size_t size = page.size() - rest.size();
    if (size < kPage && !rest.empty()) continue;
    out.pages_.push_back({held.owner, page.first(size)});
    page = rest;
  }
  if (out.count_ != count) throw malformed_pages("another count");
  return out;
}

void PackedPages::Builder::add(ByteView key, ByteView value) {
  append_varint(page_, key.size());
  append(page_, key);
  append_varint(page_, value.size());
  append(page_, value);
  ++out_.count_;
  if (page_.size() >= kPage) close_page();
}

void PackedPages::Builder::close_page() {
  if (page_.empty()) return;
  out_.pages_.push_back(share(copy(page_)));  // of its size, without room to grow
  page_.clear();
}

PackedPages PackedPages::Builder::finish() {
  close_page();
  return std::move(out_);
}

}  // namespace qpcseal::audit
