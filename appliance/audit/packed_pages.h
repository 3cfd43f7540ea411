// SPDX-License-Identifier: Apache-2.0
// Items in ascending order of their keys, packed into pages: what State keeps of thousands of challenges and
// releases without an object for each.
//
//   item = varint key size | key | varint value size | value      (varint: LEB128, least group first)
//
// A page has at least one item and is not larger than it must be to hold 16 KiB. Copies share their pages.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/shared_bytes.h"

namespace qpcseal::audit {

void append_varint(Bytes& out, std::uint64_t value);
// Takes one from the front of `bytes`. Error{Malformed}.
std::uint64_t take_varint(ByteView& bytes);

class PackedPages {
 public:
  struct Item {
    ByteView key, value;
  };
  // Of an item; end() stands behind the last.
  struct Position {
    std::size_t page = 0, at = 0;
    bool operator==(const Position&) const = default;
  };

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::size_t size() const;  // of all items, bytes
  [[nodiscard]] Position begin() const { return {}; }
  [[nodiscard]] Position end() const { return {pages_.size(), 0}; }
  [[nodiscard]] Position next(Position position) const;
  [[nodiscard]] Item at(Position position) const;
  // The first item whose key is not less.
  [[nodiscard]] Position lower_bound(ByteView key) const;

  // Takes items in ascending order of their keys.
  class Builder;
  // The pages before this one are not asked for again.
  void drop_before(std::size_t page);

  // `items` as they lie one behind the other; they are not copied where `owner` holds them. Error{Malformed}
  // where they are not whole, not in order, or not so many.
  static PackedPages read(ByteView items, std::uint64_t count, const std::shared_ptr<const void>& owner);

 private:
  std::vector<SharedBytes> pages_;
  std::uint64_t count_ = 0;
};

class PackedPages::Builder {
 public:
  void add(ByteView key, ByteView value);
  PackedPages finish();

 private:
  void close_page();
  PackedPages out_;
  Bytes page_;
};

// Bytewise, as std::string and std::vector compare.
[[nodiscard]] bool is_less(ByteView a, ByteView b);

}  // namespace qpcseal::audit
