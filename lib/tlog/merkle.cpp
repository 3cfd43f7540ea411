// SPDX-License-Identifier: Apache-2.0
#include "tlog/merkle.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace qpcseal::tlog {

namespace {

// The least power of two that is at least `width`, as a mask; works up to 2^64 - 1.
std::uint64_t alignment_mask(std::uint64_t width) {
  return width <= 1 ? 0 : ~std::uint64_t{0} >> std::countl_zero(width - 1);
}

bool is_subtree(std::uint64_t start, std::uint64_t end) {
  return start < end && (start & alignment_mask(end - start)) == 0;
}

// The greatest power of two below `width` (> 1): where a tree of that many entries splits.
std::uint64_t split_of(std::uint64_t width) { return std::bit_floor(width - 1); }

// Walks up from the last entry of a subtree (sn) and of the whole tree (tn) at once; `fn` is the subtree's
// first entry. All three are indices on the present level.
struct Climb {
  std::uint64_t fn, sn, tn;
  [[nodiscard]] bool joins_from_left() const { return (sn & 1) != 0 || sn == tn; }
  void up() { fn >>= 1, sn >>= 1, tn >>= 1; }
  void skip_whole_levels() {
    const bool at_end = sn == tn;
    while (fn != sn && (at_end || (sn & 1) != 0)) up();
  }
};

}  // namespace

Hash leaf_hash(ByteView entry) {
  thread_local Sha256 hasher;  // a context is dearer to make than an entry is to hash
  constexpr std::uint8_t prefix = 0x00;
  hasher.update({&prefix, 1});
  hasher.update(entry);
  return hasher.finish();
}

Hash node_hash(const Hash& left, const Hash& right) {
  thread_local Sha256 hasher;
  std::array<std::uint8_t, 65> block{0x01};
  std::copy(left.begin(), left.end(), block.begin() + 1);
  std::copy(right.begin(), right.end(), block.begin() + 33);
  hasher.update(block);
  return hasher.finish();
}

Hash empty_root() { return sha256({}); }

bool verify_inclusion(std::uint64_t index, std::uint64_t size, const Hash& leaf, std::span<const Hash> proof,
                      const Hash& root) {
  if (index >= size) return false;
  Hash hash = leaf;
  std::uint64_t last = size - 1;
  for (const Hash& sibling : proof) {
    if (last == 0) return false;
    if ((index & 1) != 0 || index == last) {
      hash = node_hash(sibling, hash);
      while ((index & 1) == 0 && index != 0) index >>= 1, last >>= 1;
    } else {
      hash = node_hash(hash, sibling);
    }
    index >>= 1, last >>= 1;
  }
  return last == 0 && hash == root;
}

bool verify_consistency(std::uint64_t size1, std::uint64_t size2, std::span<const Hash> proof,
                        const Hash& root1, const Hash& root2) {
  return size1 > 0 && verify_subtree_consistency(0, size1, size2, proof, root1, root2);
}

bool verify_subtree_inclusion(std::uint64_t index, std::uint64_t start, std::uint64_t end, const Hash& leaf,
                              std::span<const Hash> proof, const Hash& root) {
  return is_subtree(start, end) && index >= start &&
         verify_inclusion(index - start, end - start, leaf, proof, root);
}

bool verify_subtree_consistency(std::uint64_t start, std::uint64_t end, std::uint64_t size,
                                std::span<const Hash> proof, const Hash& root1, const Hash& root2) {
  if (end > size) return false;
  if (start == end) return proof.empty() && root1 == empty_root();
  if (!is_subtree(start, end)) return false;
  Climb climb{start, end - 1, size - 1};
  climb.skip_whole_levels();
  Hash first = root1, second = root1;
  if (climb.fn != climb.sn) {  // the subtree is no single node: the proof begins with its last part
    if (proof.empty()) return false;
    first = second = proof[0];
    proof = proof.subspan(1);
  }
  for (const Hash& hash : proof) {
    if (climb.tn == 0) return false;
    if (climb.joins_from_left()) {
      if (climb.fn < climb.sn) first = node_hash(hash, first);
      second = node_hash(hash, second);
      while ((climb.sn & 1) == 0 && climb.sn != 0) climb.up();
    } else {
      second = node_hash(second, hash);
    }
    climb.up();
  }
  return climb.tn == 0 && first == root1 && second == root2;
}

void Tree::append(const Hash& leaf) {
  Hash hash = leaf;
  for (std::size_t level = 0;; ++level) {
    if (level == levels_.size()) levels_.emplace_back();
    Level& row = levels_[level];
    row.hashes.push_back(hash);
    if (row.end() % 2 != 0) return;
    hash = node_hash(row.hashes[row.hashes.size() - 2], row.hashes.back());
    if (is_kept(level)) continue;
    row.first += row.hashes.size();
    row.hashes.clear();
  }
}

Hash Tree::node(unsigned level, std::uint64_t index) const {
  const bool there = level < levels_.size() && index < levels_[level].end();
  if (there && index >= levels_[level].first) return levels_[level].hashes[index - levels_[level].first];
  if (!there || is_kept(level))
    throw Error(ErrorKind::Internal, "Merkle tree: asked for a hash that it does not hold");
  return node_hash(node(level - 1, 2 * index), node(level - 1, (2 * index) + 1));
}

std::vector<Hash> Tree::edge() const {
  std::vector<Hash> out;
  if (size() == 0) return out;
  out.push_back(leaf(size() - 1));
  for (unsigned level = 0; level < levels_.size(); ++level) {
    const std::uint64_t count = size() >> level;
    if (count % 2 != 0) out.push_back(node(level, count - 1));
  }
  return out;
}

Tree Tree::from_edge(std::uint64_t size, std::span<const Hash> edge) {
  Tree tree;
  const std::size_t wanted = size == 0 ? 0 : 1 + static_cast<std::size_t>(std::popcount(size));
  if (edge.size() != wanted) throw Error(ErrorKind::Malformed, "the edge of a tree of another size");
  if (size == 0) return tree;
  tree.from_edge_ = true;
  const Hash& last = edge.front();
  edge = edge.subspan(1);
  for (std::uint64_t count = size; count > 0; count >>= 1) {
    Level level{count, {}};
    if (count % 2 != 0) {
      level = {count - 1, {edge.front()}};
      edge = edge.subspan(1);
    }
    tree.levels_.push_back(std::move(level));
  }
  if (size % 2 == 0) tree.levels_[0] = {size - 1, {last}};  // an odd tree's last leaf is in its edge
  return tree;
}

void Tree::check_size(std::uint64_t size) const {
  if (size > this->size()) throw Error(ErrorKind::Internal, "Merkle tree: asked beyond its size");
}

// `start` is aligned as is_subtree() wants; start < end <= size().
Hash Tree::range(std::uint64_t start, std::uint64_t end) const {
  const std::uint64_t width = end - start;
  if (std::has_single_bit(width)) {
    const auto level = static_cast<unsigned>(std::countr_zero(width));
    return node(level, start >> level);
  }
  const std::uint64_t middle = start + split_of(width);
  return node_hash(range(start, middle), range(middle, end));
}

Hash Tree::root(std::uint64_t size) const {
  check_size(size);
  return size == 0 ? empty_root() : range(0, size);
}

Proof Tree::inclusion(std::uint64_t index, std::uint64_t size) const {
  check_size(size);
  if (index >= size) throw Error(ErrorKind::Internal, "Merkle tree: no such entry");
  Proof proof;  // from the root down, turned round at the end
  for (std::uint64_t start = 0, end = size; end - start > 1;) {
    const std::uint64_t middle = start + split_of(end - start);
    const bool left = index < middle;
    proof.push_back(left ? range(middle, end) : range(start, middle));
    (left ? end : start) = middle;
  }
  std::reverse(proof.begin(), proof.end());
  return proof;
}

Proof Tree::consistency(std::uint64_t size1, std::uint64_t size2) const {
  check_size(size2);
  if (size1 == 0 || size1 > size2) throw Error(ErrorKind::Internal, "Merkle tree: no such earlier tree");
  Proof proof;
  std::uint64_t start = 0, end = size2;
  while (size1 != end) {
    const std::uint64_t middle = start + split_of(end - start);
    const bool left = size1 <= middle;
    proof.push_back(left ? range(middle, end) : range(start, middle));
    (left ? end : start) = middle;
  }
  if (start != 0) proof.push_back(range(start, end));  // else the checker has it: root1 itself
  std::reverse(proof.begin(), proof.end());
  return proof;
}

}  // namespace qpcseal::tlog
