// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/segment_digest.h"

#include <string_view>

#include "base/error.h"
#include "base/piece_digest.h"

namespace qpcseal::seal {

namespace {
constexpr std::string_view kSegmentText("qpcseal/segment/2\0", 18);
}  // namespace

SegmentDigest::SegmentDigest(std::uint64_t size) : pieces_left_((size + kPieceSize - 1) / kPieceSize) {
  Bytes head = copy(view(kSegmentText));
  append_be(head, size, 8);
  hash_.update(head);
}

void SegmentDigest::add(std::uint64_t chunk, std::vector<Sha256Digest> pieces) {
  const std::lock_guard lock(mutex_);
  early_.emplace(chunk, std::move(pieces));
  for (auto first = early_.begin(); first != early_.end() && first->first == next_; first = early_.begin()) {
    for (const Sha256Digest& piece : first->second) hash_.update(piece);
    pieces_left_ -= first->second.size();
    early_.erase(first);
    ++next_;
  }
}

Sha256Digest SegmentDigest::finish(ByteView aead) {
  const std::lock_guard lock(mutex_);
  if (pieces_left_ != 0 || !early_.empty())
    throw Error(ErrorKind::Internal, "a segment's digest without all of its pieces");
  hash_.update(aead);
  return hash_.finish();
}

}  // namespace qpcseal::seal
