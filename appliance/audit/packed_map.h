// SPDX-License-Identifier: Apache-2.0
// A map of State's that hardly shrinks: a std::map of what is new, and pages of packed items for the rest
// (packed_pages.h). An item costs about the bytes that its values have, in place of some 500 for its objects.
//
//   if (const auto found = map.find(key); found != map.end()) use(found->second);
//   if (V* value = map.change(key)) value->seen = true;
//
// Invariants: keys are byte strings; an item among the new ones hides the packed one of its key. Looking up
// costs O(log n) and the unpacking of one item. An iterator holds its item: a reference to it must not
// outlive the iterator. pack() and erase_if(), and nothing else, invalidate iterators and references.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <map>
#include <stdexcept>
#include <utility>

#include "appliance/audit/packed_pages.h"

namespace qpcseal::audit {

// A value as bytes, and back. For State's values in state_codec.cpp.
template <typename V>
void pack_value(Bytes& out, const V& value);
// Error{Malformed}.
template <typename V>
void unpack_value(ByteView bytes, V& value);
// For values that repeat their key: it is not packed twice.
inline void put_key(const auto& /*key*/, auto& /*value*/) {}

template <typename K, typename V>
class PackedMap {
  using Recent = std::map<K, V>;

 public:
  using key_type = K;
  using mapped_type = V;
  using value_type = std::pair<K, V>;

  class const_iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = PackedMap::value_type;
    using reference = const value_type&;
    using pointer = const value_type*;

    const_iterator() = default;
    reference operator*() const {
      if (!item_) item_ = map_->item(packed_, recent_);
      return *item_;
    }
    pointer operator->() const { return &**this; }
    const_iterator& operator++() {
      map_->step(packed_, recent_);
      item_.reset();
      return *this;
    }
    const_iterator operator++(int) {
      const_iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const const_iterator& other) const {
      return packed_ == other.packed_ && recent_ == other.recent_;
    }

   private:
    friend PackedMap;
    const_iterator(const PackedMap* map, PackedPages::Position packed, typename Recent::const_iterator recent)
        : map_(map), packed_(packed), recent_(recent) {}
    const PackedMap* map_ = nullptr;
    PackedPages::Position packed_;
    typename Recent::const_iterator recent_;
    mutable std::optional<value_type> item_;
  };
  using iterator = const_iterator;

  PackedMap() = default;
  PackedMap(std::initializer_list<value_type> items) {
    for (const auto& [key, value] : items) emplace(key, value);
  }

  [[nodiscard]] std::size_t size() const { return packed_.count() + recent_.size() - hidden_; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  // About the bytes that write() adds.
  [[nodiscard]] std::size_t packed_size() const {
    constexpr std::size_t kItem = 300;  // bytes
    return packed_.size() + (recent_.size() * kItem);
  }
  [[nodiscard]] const_iterator begin() const { return {this, packed_.begin(), recent_.begin()}; }
  [[nodiscard]] const_iterator end() const { return {this, packed_.end(), recent_.end()}; }
  [[nodiscard]] bool contains(const K& key) const {
    return recent_.contains(key) || is_packed(packed_.lower_bound(key_view(key)), key);
  }
  [[nodiscard]] std::size_t count(const K& key) const { return contains(key) ? 1 : 0; }
  [[nodiscard]] const_iterator find(const K& key) const {
    const PackedPages::Position packed = packed_.lower_bound(key_view(key));
    const auto recent = recent_.lower_bound(key);
    const bool found = is_packed(packed, key) || (recent != recent_.end() && recent->first == key);
    return found ? const_iterator{this, packed, recent} : end();
  }
  // std::out_of_range where there is none.
  [[nodiscard]] V at(const K& key) const {
    const const_iterator found = find(key);
    if (found == end()) throw std::out_of_range("PackedMap::at");
    return found->second;
  }

  std::pair<const_iterator, bool> emplace(const K& key, V value) {
    const PackedPages::Position packed = packed_.lower_bound(key_view(key));
    if (is_packed(packed, key)) return {const_iterator{this, packed, recent_.lower_bound(key)}, false};
    const auto [place, fresh] = recent_.emplace(key, std::move(value));
    return {const_iterator{this, packed, place}, fresh};
  }
  // The value, to be changed; null: there is none.
  V* change(const K& key) {
    if (const auto found = recent_.find(key); found != recent_.end()) return &found->second;
    if (!is_packed(packed_.lower_bound(key_view(key)), key)) return nullptr;
    V value = at(key);
    ++hidden_;
    return &recent_.emplace(key, std::move(value)).first->second;
  }
  V& operator[](const K& key) {
    emplace(key, V{});
    return *change(key);
  }
  void clear() { *this = {}; }
  // Forgets the items for which `is_out` holds; all of them are packed anew.
  void erase_if(auto is_out) {
    PackedPages::Builder kept;
    Bytes value;
    for (const value_type& item : *this) {
      if (is_out(item)) continue;
      value.clear();
      pack_value(value, item.second);
      kept.add(key_view(item.first), value);
    }
    clear();
    packed_ = kept.finish();
  }

  // Packs the new items once there are many of them.
  void pack() {
    constexpr std::size_t kFew = 4096, kShare = 64;
    if (recent_.size() < std::max<std::size_t>(kFew, packed_.count() / kShare)) return;
    PackedPages::Builder all;
    each_packed([&](ByteView key, ByteView value) { all.add(key, value); },
                [this](std::size_t page) { packed_.drop_before(page); });
    *this = {};
    packed_ = all.finish();
  }

  // u64be count | u64be size in bytes | the items
  void write(Bytes& out) const {
    const std::size_t start = out.size();
    append_be(out, size(), 8);
    append_be(out, 0, 8);
    const std::size_t items = out.size();
    each_packed([&](ByteView key, ByteView value) { append_item(out, key, value); }, [](std::size_t) {});
    Bytes length;
    append_be(length, out.size() - items, 8);
    std::ranges::copy(length, out.begin() + static_cast<std::ptrdiff_t>(start) + 8);
  }
  // `owner`: of the bytes that are read; null: they are copied. Error{Malformed}.
  static PackedMap read(ByteReader& reader, const std::shared_ptr<const void>& owner) {
    PackedMap out;
    const std::uint64_t count = reader.be(8);
    out.packed_ = PackedPages::read(reader.take(reader.be(8)), count, owner);
    return out;
  }

  bool operator==(const PackedMap& other) const {
    return size() == other.size() && std::equal(begin(), end(), other.begin());
  }

 private:
  static ByteView key_view(const K& key) {
    return {reinterpret_cast<const std::uint8_t*>(key.data()), key.size()};
  }
  static void append_item(Bytes& out, ByteView key, ByteView value) {
    append_varint(out, key.size());
    append(out, key);
    append_varint(out, value.size());
    append(out, value);
  }
  // `at`: the key's lower bound.
  [[nodiscard]] bool is_packed(PackedPages::Position at, const K& key) const {
    return at != packed_.end() && std::ranges::equal(packed_.at(at).key, key_view(key));
  }

  // Of the two next items, which one comes first; a new one hides the packed one of its key.
  enum class First { Packed, Recent, Both };
  [[nodiscard]] First first_entry(PackedPages::Position packed,
                                  typename Recent::const_iterator recent) const {
    if (recent == recent_.end()) return First::Packed;
    if (packed == packed_.end()) return First::Recent;
    const ByteView key = packed_.at(packed).key;
    if (is_less(key, key_view(recent->first))) return First::Packed;
    return is_less(key_view(recent->first), key) ? First::Recent : First::Both;
  }
  [[nodiscard]] value_type item(PackedPages::Position packed, typename Recent::const_iterator recent) const {
    if (first_entry(packed, recent) != First::Packed) return {recent->first, recent->second};
    const PackedPages::Item item = packed_.at(packed);
    value_type out{K(item.key.begin(), item.key.end()), V{}};
    unpack_value(item.value, out.second);
    put_key(out.first, out.second);
    return out;
  }
  void step(PackedPages::Position& packed, typename Recent::const_iterator& recent) const {
    const First first = first_entry(packed, recent);
    if (first != First::Packed) ++recent;
    if (first != First::Recent) packed = packed_.next(packed);
  }
  // All items as they are packed; `passed` is told of pages that were left behind.
  void each_packed(auto take, auto passed) const {
    Bytes value;
    auto packed = packed_.begin();
    auto recent = recent_.begin();
    while (packed != packed_.end() || recent != recent_.end()) {
      if (first_entry(packed, recent) == First::Packed) {
        const PackedPages::Item item = packed_.at(packed);
        take(item.key, item.value);
      } else {
        value.clear();
        pack_value(value, recent->second);
        take(key_view(recent->first), value);
      }
      step(packed, recent);
      passed(packed.page);
    }
  }

  PackedPages packed_;
  Recent recent_;
  std::size_t hidden_ = 0;  // new items whose keys are packed too
};

}  // namespace qpcseal::audit
