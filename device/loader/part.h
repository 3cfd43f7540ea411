// SPDX-License-Identifier: Apache-2.0
// One container of a model on its card: judged, opened, and laid out as the card sees it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/secret.h"
#include "device/card/card.h"
#include "device/loader/loaded_container.h"

namespace qpcseal::device {

class PartitionLoader {
 public:
  // What it refers to must outlive it.
  PartitionLoader(const Fd& file, const SealedContainer& sealed) : file_(file), sealed_(sealed) {}

  // Signature (where the card has the seal key) and version. Error{Denied}, as everything here.
  void check_origin(const Card& card) const;
  // The MEK in its slots, by this card's session key.
  [[nodiscard]] SecretBuffer unwrap(const Card& card) const;
  // The tag, and the parts of seal.aead.
  void open(ByteView mek);

  // The plain container's rows as they will lie, counted from its begin. A partition has the plain size that
  // `partitions` gives for its name.
  [[nodiscard]] std::vector<qpc::Segment> plain_rows(
      const std::map<std::string, std::uint64_t>& partitions) const;
  // Every byte of every segment that is no partition is read and checked; `out` gets the plain ones from
  // `begin` on.
  void run(const Fd* out, std::uint64_t begin, const std::vector<qpc::Segment>& rows) const;

 private:
  // A sealed segment's part of seal.aead, and what its chunks are.
  struct Front {
    ByteView bytes;   // all of the part
    ByteView header;  // 64 bytes
    unsigned mode = 0;
    std::uint64_t chunk = 0, count = 0, last = 0;  // chunk size; how many; the last with sealed bytes
    std::size_t entries = 0;                       // where the first entry is in the part
    std::vector<std::uint64_t> entry;              // of each chunk, from 0
  };
  struct Worker;  // what one thread has for itself
  [[nodiscard]] Front read_front(const ManifestEntry& segment, ByteView rest) const;
  void read_chunks(Front& front, const ManifestEntry& segment) const;
  [[nodiscard]] SecretBuffer key_for(const ManifestEntry& segment, const Front& front) const;
  void read_segment(std::size_t index, const Fd* out, std::uint64_t place) const;
  void open_chunk(const ManifestEntry& segment, const Front& front, std::uint64_t index, ByteView key,
                  MutableBytes stored) const;

  const Fd& file_;
  const SealedContainer& sealed_;
  SecretBuffer mek_;
  std::vector<Front> fronts_;  // of each segment; of one that is not sealed without anything
};

}  // namespace qpcseal::device
