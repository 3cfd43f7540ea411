// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/pieces_digest.h"

#include <algorithm>
#include <future>
#include <system_error>
#include <thread>

namespace qpcseal::audit {

namespace {

constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;  // bytes
constexpr std::uint64_t kRead = std::uint64_t{1} << 18;   // bytes; stays in the cache until it is hashed

// Every `step`th piece from `first` on.
void digest_pieces(const Fd& file, std::vector<Sha256Digest>& out, std::size_t first, std::size_t step) {
  Sha256 digest;
  Bytes buffer(kRead);
  for (std::size_t i = first; i < out.size(); i += step) {
    for (std::uint64_t at = 0; at < kPiece; at += kRead) {
      read_exact(file, buffer, (i * kPiece) + at);
      digest.update(buffer);
    }
    out[i] = digest.finish();
  }
}

}  // namespace

void PiecesDigest::update(ByteView bytes) {
  while (!bytes.empty()) {
    const ByteView part = bytes.first(std::min<std::uint64_t>(bytes.size(), kPiece - in_open_));
    open_.update(part);
    in_open_ += part.size();
    bytes = bytes.subspan(part.size());
    if (in_open_ < kPiece) continue;
    pieces_.push_back(open_.finish());
    in_open_ = 0;
  }
}

Sha256Digest PiecesDigest::peek() const {
  Sha256 all;
  for (const Sha256Digest& piece : pieces_) all.update(piece);
  if (in_open_ > 0) all.update(open_.peek());
  return all.finish();
}

PiecesDigest PiecesDigest::of_file(const Fd& file, std::uint64_t bytes) {
  PiecesDigest out;
  out.pieces_.resize(bytes / kPiece);
  const std::size_t most = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t threads = std::clamp<std::size_t>(out.pieces_.size() / 4, 1, most);
  std::vector<std::future<void>> others;
  std::size_t own = 1;  // parts that this thread does: the first, and those for which there is no thread
  for (std::size_t i = 1; i < threads; ++i) {
    try {
      others.push_back(std::async(std::launch::async, digest_pieces, std::cref(file), std::ref(out.pieces_),
                                  threads - i, threads));
    } catch (const std::system_error&) {
      own = threads - i + 1;
      break;
    }
  }
  for (std::size_t i = 0; i < own; ++i) digest_pieces(file, out.pieces_, i, threads);
  for (std::future<void>& other : others) other.get();
  Bytes rest(bytes % kPiece);
  read_exact(file, rest, out.pieces_.size() * kPiece);
  out.update(rest);
  return out;
}

}  // namespace qpcseal::audit
