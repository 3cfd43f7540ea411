// SPDX-License-Identifier: Apache-2.0
#include "base/file_digest.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"

namespace qpcseal {

Sha256Digest file_digest(const Fd& file, std::uint64_t size) {
  Bytes buffer(std::size_t{1} << 16);
  Sha256 hash;
  for (std::uint64_t at = 0; at < size; at += buffer.size()) {
    const MutableBytes piece = MutableBytes(buffer).first(std::min<std::uint64_t>(buffer.size(), size - at));
    read_exact(file, piece, at);
    hash.update(piece);
  }
  return hash.finish();
}

Sha256Digest file_digest(const Fd& file) { return file_digest(file, file_size(file)); }

FileMark file_mark(const Fd& file) {
  constexpr std::int64_t kSecond = 1'000'000'000;  // nanoseconds
  struct stat now{};
  if (fstat(file.get(), &now) != 0) throw_errno("fstat");
  return {now.st_dev, now.st_ino, static_cast<std::uint64_t>(now.st_size),
          (now.st_mtim.tv_sec * kSecond) + now.st_mtim.tv_nsec,
          (now.st_ctim.tv_sec * kSecond) + now.st_ctim.tv_nsec};
}

}  // namespace qpcseal
