// SPDX-License-Identifier: Apache-2.0
#include "encoding/tar.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace qpcseal::encoding {

namespace {

constexpr std::size_t kBlock = 512;

struct Field {
  std::size_t offset, size;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kTime{136, 12},
    kSum{148, 8}, kType{156, 1}, kMagic{257, 8}, kPrefix{345, 155};
constexpr std::string_view kUstar("ustar\00000", 8);  // magic and version

using Block = std::array<std::uint8_t, kBlock>;

Error malformed_archive(const std::string& what) { return {ErrorKind::Malformed, "archive: " + what}; }

void write(Block& block, Field field, std::string_view text) {
  std::copy(text.begin(), text.end(), block.begin() + static_cast<std::ptrdiff_t>(field.offset));
}

std::string octal(std::uint64_t value, std::size_t digits) {
  std::string out(digits, '0');
  for (std::size_t i = digits; i > 0 && value > 0; value >>= 3U)
    out[--i] = static_cast<char>('0' + (value & 7U));
  return out;
}

// The sum of all bytes, its own field as spaces.
std::uint64_t sum_of(Block block) {
  std::fill_n(block.begin() + kSum.offset, kSum.size, std::uint8_t{' '});
  std::uint64_t sum = 0;
  for (const std::uint8_t byte : block) sum += byte;
  return sum;
}

// Up to the first NUL.
std::string text_in(const Block& block, Field field) {
  const auto begin = block.begin() + static_cast<std::ptrdiff_t>(field.offset);
  return {begin, std::find(begin, begin + static_cast<std::ptrdiff_t>(field.size), 0)};
}

std::uint64_t number_in(const Block& block, Field field) {
  std::string text = text_in(block, field);
  while (text.ends_with(' ')) text.pop_back();
  std::uint64_t out = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') throw malformed_archive("a number that is not octal");
    out = (out << 3U) | static_cast<std::uint64_t>(c - '0');
  }
  return out;
}

std::uint64_t padding(std::uint64_t at) { return (kBlock - (at % kBlock)) % kBlock; }

// Nothing for what does not fit.
std::optional<Block> header_of(const std::string& name, std::uint64_t size) {
  std::string dir, file = name;
  if (file.size() > kName.size) {
    const std::size_t slash = name.find('/', name.size() - kName.size - 1);
    if (slash != std::string::npos) dir = name.substr(0, slash), file = name.substr(slash + 1);
  }
  if (!is_inner_name(name) || file.size() > kName.size || dir.size() > kPrefix.size || size > kMaxTarFile)
    return std::nullopt;
  Block block{};
  write(block, kName, file);
  write(block, kMode, "0000600");
  write(block, kUid, "0000000");
  write(block, kGid, "0000000");
  write(block, kSize, octal(size, kSize.size - 1));
  write(block, kTime, octal(0, kTime.size - 1));
  write(block, kType, "0");
  write(block, kMagic, kUstar);
  write(block, kPrefix, dir);
  write(block, kSum, octal(sum_of(block), 6) + std::string("\0 ", 2));
  return block;
}

}  // namespace

bool is_inner_name(std::string_view name) {
  if (!std::ranges::all_of(name, [](char c) { return c >= ' ' && c < '\x7F'; })) return false;
  while (true) {
    const std::size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

void read_pieces(const Fd& in, std::uint64_t offset, std::uint64_t size,
                 const std::function<void(ByteView)>& take) {
  constexpr std::uint64_t kPiece = 1U << 18;  // bytes
  Bytes piece;
  for (std::uint64_t done = 0; done < size; done += piece.size()) {
    piece.resize(std::min(size - done, kPiece));
    read_exact(in, piece, offset + done);
    take(piece);
  }
}

void TarWriter::put(ByteView bytes) {
  write_exact(out_, bytes, at_);
  at_ += bytes.size();
}

void TarWriter::pad() { put(Bytes(padding(at_))); }

void TarWriter::header(const std::string& name, std::uint64_t size) {
  const auto block = header_of(name, size);
  if (!block) throw Error(ErrorKind::Usage, "'" + name + "' does not fit into an archive");
  put(*block);
}

void TarWriter::add(const std::string& name, ByteView content) {
  header(name, content.size());
  put(content);
  pad();
}

Sha256Digest TarWriter::add(const std::string& name, const Fd& file) {
  return add(name, file, file_size(file));
}

Sha256Digest TarWriter::add(const std::string& name, const Fd& file, std::uint64_t size) {
  header(name, size);
  Sha256 digest;
  read_pieces(file, 0, size, [&](ByteView piece) {
    digest.update(piece);
    put(piece);
  });
  pad();
  return digest.finish();
}

void TarWriter::finish() { put(Bytes(2 * kBlock)); }

std::optional<TarItem> TarReader::next() {
  Block block{};
  if (end_ - at_ < kBlock) throw malformed_archive("cut short");
  read_exact(in_, block, at_);
  at_ += kBlock;
  if (block == Block{}) {
    expect_end();
    return std::nullopt;
  }
  const std::string dir = text_in(block, kPrefix);
  TarItem item{(dir.empty() ? "" : dir + "/") + text_in(block, kName), number_in(block, kSize), at_};
  if (header_of(item.name, item.size) != block)
    throw malformed_archive("a header that this program does not write");
  const std::uint64_t padded = item.size + padding(item.size);
  if (padded > end_ - at_) throw malformed_archive("'" + item.name + "' is cut short");
  Bytes zeros(padding(item.size));
  read_exact(in_, zeros, at_ + item.size);
  if (zeros != Bytes(zeros.size())) throw malformed_archive("'" + item.name + "' is followed by something");
  at_ += padded;
  return item;
}

void TarReader::expect_end() {
  Bytes rest(end_ - at_ == kBlock ? kBlock : 0);
  read_exact(in_, rest, at_);
  if (rest != Bytes(kBlock)) throw malformed_archive("something follows its end");
}

}  // namespace qpcseal::encoding
