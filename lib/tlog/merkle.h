// SPDX-License-Identifier: Apache-2.0
// The Merkle tree of RFC 6962 section 2 over SHA-256: hashes, proofs, and a tree that grows.
//
//   leaf hash = SHA-256(0x00 || entry)      node hash = SHA-256(0x01 || left || right)
//
// Hashes are 32 bytes. The verify functions are strict: a proof has exactly the hashes it needs, indices lie
// within the tree, and an empty tree proves nothing. They give a verdict and never throw.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "base/digest.h"

namespace qpcseal::tlog {

using Hash = Sha256Digest;
using Proof = std::vector<Hash>;

Hash leaf_hash(ByteView entry);
Hash node_hash(const Hash& left, const Hash& right);
Hash empty_root();  // SHA-256 of nothing

// RFC 6962 section 2.1.1: entry `index`, with hash `leaf`, is in the tree of `size` entries with `root`.
[[nodiscard]] bool verify_inclusion(std::uint64_t index, std::uint64_t size, const Hash& leaf,
                                    std::span<const Hash> proof, const Hash& root);
// RFC 6962 section 2.1.2: the tree of `size2` entries begins with the tree of `size1` entries (size1 > 0).
[[nodiscard]] bool verify_consistency(std::uint64_t size1, std::uint64_t size2, std::span<const Hash> proof,
                                      const Hash& root1, const Hash& root2);

// The same for the subtree over entries [start, end), which must be one that trees are built of: start is a
// multiple of the least power of two that is at least end - start.
[[nodiscard]] bool verify_subtree_inclusion(std::uint64_t index, std::uint64_t start, std::uint64_t end,
                                            const Hash& leaf, std::span<const Hash> proof, const Hash& root);
// An empty subtree (start == end) is part of every tree, by the empty proof.
[[nodiscard]] bool verify_subtree_consistency(std::uint64_t start, std::uint64_t end, std::uint64_t size,
                                              std::span<const Hash> proof, const Hash& root1,
                                              const Hash& root2);

// Holds the hashes of the leaves and of every fourth level above: 34 bytes an entry, and at most 15 hashes to
// compute any other node. A tree that was begun from an edge holds all levels of what came after it, and
// knows the roots of all sizes from there on. Arguments out of range are Error{Internal}.
class Tree {
 public:
  void append(const Hash& leaf);
  [[nodiscard]] std::uint64_t size() const { return levels_.empty() ? 0 : levels_[0].end(); }
  [[nodiscard]] Hash root() const { return root(size()); }
  [[nodiscard]] Hash root(std::uint64_t size) const;  // of the first `size` entries
  [[nodiscard]] Hash leaf(std::uint64_t index) const { return node(0, index); }
  // The hash over entries [index * 2^level, (index + 1) * 2^level), all of them there.
  [[nodiscard]] Hash node(unsigned level, std::uint64_t index) const;

  // What a tree goes on from: the last leaf, then the hash of each complete subtree of its right edge, least
  // first (one for each bit of the size). Nothing for an empty tree.
  [[nodiscard]] std::vector<Hash> edge() const;
  // Error{Malformed} where the count of hashes is not the size's.
  static Tree from_edge(std::uint64_t size, std::span<const Hash> edge);
  // Whether it holds all of it, and not only what came after an edge.
  [[nodiscard]] bool is_whole() const { return levels_.empty() || levels_[0].first == 0; }
  [[nodiscard]] Proof inclusion(std::uint64_t index, std::uint64_t size) const;
  [[nodiscard]] Proof consistency(std::uint64_t size1, std::uint64_t size2) const;

 private:
  [[nodiscard]] Hash range(std::uint64_t start, std::uint64_t end) const;
  void check_size(std::uint64_t size) const;
  struct Level {
    std::uint64_t first = 0;    // index of hashes[0]; what lies before is not held
    std::deque<Hash> hashes{};  // grows without a second copy
    [[nodiscard]] std::uint64_t end() const { return first + hashes.size(); }
  };
  [[nodiscard]] bool is_kept(std::size_t level) const { return from_edge_ || level % 4 == 0; }
  std::vector<Level> levels_;  // node i of levels_[k] covers entries [i * 2^k, (i + 1) * 2^k)
  bool from_edge_ = false;     // all levels are kept: what lies before the edge cannot be computed
};

}  // namespace qpcseal::tlog
