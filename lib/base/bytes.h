// SPDX-License-Identifier: Apache-2.0
// Byte views, bounded reading, hex and base64. Sizes are in bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qpcseal {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

ByteView view(std::string_view text);
std::string_view text_view(ByteView bytes);
Bytes copy(ByteView bytes);
void append(Bytes& out, ByteView more);
void append(Bytes& out, std::string_view more);

// Constant time for equal sizes; false when the sizes differ.
bool equal(ByteView a, ByteView b);

// Big-endian and little-endian integers of `width` bytes (1 to 8).
void append_be(Bytes& out, std::uint64_t value, unsigned width);
void append_le(Bytes& out, std::uint64_t value, unsigned width);
std::uint64_t load_be(ByteView bytes);
std::uint64_t load_le(ByteView bytes);
// u16be length, then the bytes. Throws Error{Internal} above 65535.
void append_lp16(Bytes& out, ByteView bytes);

std::string to_hex(ByteView bytes);        // lower case
Bytes from_hex(std::string_view hex);      // either case; throws Error{Malformed}
std::string to_base64(ByteView bytes);     // RFC 4648 section 4, padded, one line
Bytes from_base64(std::string_view text);  // canonical only; throws Error{Malformed}

// Reads from the front of a view; never past its end. Throws Error{Malformed} "NAME: truncated ...".
class ByteReader {
 public:
  ByteReader(ByteView bytes, std::string_view name) : rest_(bytes), name_(name) {}
  [[nodiscard]] std::size_t remaining() const { return rest_.size(); }
  ByteView take(std::size_t size);
  std::uint64_t be(unsigned width) { return load_be(take(width)); }
  std::uint64_t le(unsigned width) { return load_le(take(width)); }
  ByteView lp16() { return take(be(2)); }
  void expect_end() const;

 private:
  ByteView rest_;
  std::string_view name_;
};

}  // namespace qpcseal
