// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/error.h"

namespace qpcseal {

namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

unsigned hex_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  throw Error(ErrorKind::Malformed, "not a hexadecimal digit");
}

}  // namespace

ByteView view(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string_view text_view(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes copy(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

void append(Bytes& out, ByteView more) { out.insert(out.end(), more.begin(), more.end()); }

void append(Bytes& out, std::string_view more) { append(out, view(more)); }

bool equal(ByteView a, ByteView b) {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

void append_be(Bytes& out, std::uint64_t value, unsigned width) {
  for (unsigned i = width; i-- > 0;) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void append_le(Bytes& out, std::uint64_t value, unsigned width) {
  for (unsigned i = 0; i < width; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

std::uint64_t load_be(ByteView bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

std::uint64_t load_le(ByteView bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

void append_lp16(Bytes& out, ByteView bytes) {
  if (bytes.size() > 0xffff) throw Error(ErrorKind::Internal, "length prefix above 65535");
  append_be(out, bytes.size(), 2);
  append(out, bytes);
}

std::string to_hex(ByteView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    out += kHexDigits[byte >> 4];
    out += kHexDigits[byte & 15];
  }
  return out;
}

Bytes from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) throw Error(ErrorKind::Malformed, "hexadecimal text of odd length");
  Bytes out;
  out.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2)
    out.push_back(static_cast<std::uint8_t>(hex_value(hex[i]) << 4 | hex_value(hex[i + 1])));
  return out;
}

std::string to_base64(ByteView bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes.data(),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

Bytes from_base64(std::string_view text) {
  if (text.size() % 4 != 0)
    throw Error(ErrorKind::Malformed, "base64 text of a length that is no multiple of 4");
  Bytes out(text.size() / 4 * 3);
  if (EVP_DecodeBlock(out.data(), view(text).data(), static_cast<int>(text.size())) < 0)
    throw Error(ErrorKind::Malformed, "not base64");
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  out.erase(out.end() - static_cast<std::ptrdiff_t>(std::min(padding, out.size())), out.end());
  // One text for each value: this also refuses white space, stray padding and non-zero spare bits.
  if (to_base64(out) != text) throw Error(ErrorKind::Malformed, "base64 text is not canonical");
  return out;
}

ByteView ByteReader::take(std::size_t size) {
  if (size > rest_.size())
    throw Error(ErrorKind::Malformed, std::string(name_) + ": truncated, " + std::to_string(size) +
                                          " bytes wanted, " + std::to_string(rest_.size()) + " left");
  const ByteView out = rest_.first(size);
  rest_ = rest_.subspan(size);
  return out;
}

void ByteReader::expect_end() const {
  if (!rest_.empty())
    throw Error(ErrorKind::Malformed,
                std::string(name_) + ": " + std::to_string(rest_.size()) + " bytes after the end");
}

}  // namespace qpcseal
