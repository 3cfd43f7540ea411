// SPDX-License-Identifier: Apache-2.0
// Archives in the ustar format (POSIX.1-1988, pax(1) "ustar Interchange Format"), regular files alone: what
// any tar reads, and only what this writes.
//
//   per file: header (512 bytes) | content | zeros up to a multiple of 512;  at the end 1024 zeros
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/digest.h"
#include "base/file.h"

namespace qpcseal::encoding {

inline constexpr std::uint64_t kMaxTarFile = (std::uint64_t{1} << 33) - 1;  // bytes, 11 octal digits

class TarWriter {
 public:
  explicit TarWriter(const Fd& out) : out_(out) {}
  // Names are relative, of at most 100 bytes behind a folder part of at most 155. Error{Usage} for others.
  void add(const std::string& name, ByteView content);
  // The whole of `file`; its SHA-256 comes back.
  Sha256Digest add(const std::string& name, const Fd& file);
  // Its first `size` bytes.
  Sha256Digest add(const std::string& name, const Fd& file, std::uint64_t size);
  void finish();

 private:
  void header(const std::string& name, std::uint64_t size);
  void put(ByteView bytes);
  void pad();
  const Fd& out_;
  std::uint64_t at_ = 0;
};

// One file in an archive.
struct TarItem {
  std::string name;
  std::uint64_t size = 0, offset = 0;  // of its content
};

class TarReader {
 public:
  explicit TarReader(const Fd& in) : in_(in), end_(file_size(in)) {}
  // The next file; nothing at the end. Error{Malformed} for a broken header, another kind of file, a name
  // that leads out of the folder, and an archive that is cut short or goes on behind its end.
  std::optional<TarItem> next();

 private:
  void expect_end();
  const Fd& in_;
  std::uint64_t at_ = 0, end_ = 0;
};

// Whether `name` is relative and stays below: printable ASCII, parts neither empty nor "." nor "..".
[[nodiscard]] bool is_inner_name(std::string_view name);
// `size` bytes of `in` from `offset`, in pieces.
void read_pieces(const Fd& in, std::uint64_t offset, std::uint64_t size,
                 const std::function<void(ByteView)>& take);

}  // namespace qpcseal::encoding
