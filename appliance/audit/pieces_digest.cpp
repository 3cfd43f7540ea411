// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/pieces_digest.h"

#include <algorithm>

#include "base/parallel.h"
#include "base/piece_digest.h"

namespace qpcseal::audit {

namespace {

constexpr std::uint64_t kAtOnce = 16;  // pieces of one read: as many as a processor has lanes for
// From here on it pays to find out which way of hashing is the quicker one, and to share the work.
constexpr std::uint64_t kMany = 1024;  // pieces

// Puts the digests of the whole pieces of one read after the other into `out`.
Work make_reader(const Fd& file, std::vector<Sha256Digest>& out) {
  const auto engine = out.size() < kMany ? PieceEngine::OneByOne : PieceEngine::Fastest;
  const auto digester = std::make_shared<PieceDigester>(engine);
  Bytes buffer(std::min<std::uint64_t>(out.size(), kAtOnce) * kPieceSize);
  return [&file, &out, digester, buffer = std::move(buffer)](std::uint64_t read) mutable {
    const std::uint64_t first = read * kAtOnce;
    const MutableBytes bytes = MutableBytes(buffer).first(std::min(kAtOnce, out.size() - first) * kPieceSize);
    read_exact(file, bytes, first * kPieceSize);
    std::ranges::copy(digester->digests(bytes), out.begin() + static_cast<std::ptrdiff_t>(first));
  };
}

}  // namespace

void PiecesDigest::update(ByteView bytes) {
  while (!bytes.empty()) {
    const ByteView part = bytes.first(std::min<std::uint64_t>(bytes.size(), kPieceSize - in_open_));
    open_.update(part);
    in_open_ += part.size();
    bytes = bytes.subspan(part.size());
    if (in_open_ < kPieceSize) continue;
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
  out.pieces_.resize(bytes / kPieceSize);
  const std::uint64_t reads = (out.pieces_.size() + kAtOnce - 1) / kAtOnce;
  const auto make = [&] { return make_reader(file, out.pieces_); };
  if (out.pieces_.size() < kMany) {
    const Work work = make();
    for (std::uint64_t i = 0; i < reads; ++i) work(i);
  } else {
    run_parallel(0, reads, make, {});
  }
  Bytes rest(bytes % kPieceSize);
  read_exact(file, rest, out.pieces_.size() * kPieceSize);
  out.update(rest);
  return out;
}

}  // namespace qpcseal::audit
