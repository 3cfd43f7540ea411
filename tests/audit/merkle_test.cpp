// SPDX-License-Identifier: Apache-2.0
#include "tlog/merkle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>

#include "base/error.h"
#include "encoding/json.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"

namespace qpcseal::audit {
namespace {

// RFC 6962 section 2.1, word for word: the tree's definition, to hold the Tree against.
tlog::Hash slow_root(const std::vector<tlog::Hash>& leaves, std::size_t start, std::size_t end) {
  if (start == end) return sha256({});
  if (end - start == 1) return leaves[start];
  std::size_t half = 1;
  while (half * 2 < end - start) half *= 2;
  return tlog::node_hash(slow_root(leaves, start, start + half), slow_root(leaves, start + half, end));
}

std::vector<tlog::Hash> leaves_of(std::size_t count) {
  std::vector<tlog::Hash> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(tlog::leaf_hash(view("leaf " + std::to_string(i))));
  return out;
}

tlog::Tree tree_of(const std::vector<tlog::Hash>& leaves) {
  tlog::Tree tree;
  for (const tlog::Hash& leaf : leaves) tree.append(leaf);
  return tree;
}

TEST(Merkle, RootsAreThoseOfTheDefinition) {
  const auto leaves = leaves_of(70);
  const tlog::Tree tree = tree_of(leaves);
  for (std::size_t size = 0; size <= leaves.size(); ++size)
    EXPECT_EQ(tree.root(size), slow_root(leaves, 0, size)) << size;
}

TEST(Merkle, ATreeDoesNotGiveWhatItDoesNotHave) {
  const tlog::Tree tree = tree_of(leaves_of(5));
  EXPECT_ERROR(Internal, "beyond its size", tree.root(6));
  EXPECT_ERROR(Internal, "beyond its size", tree.inclusion(0, 6));
  EXPECT_ERROR(Internal, "beyond its size", tree.consistency(1, 6));
  EXPECT_ERROR(Internal, "no such entry", tree.inclusion(4, 4));
  EXPECT_ERROR(Internal, "no such earlier tree", tree.consistency(0, 5));
  EXPECT_ERROR(Internal, "no such earlier tree", tree.consistency(5, 4));
}

// Known answer of RFC 6962's own test data: the root of no entries, and of one empty entry.
TEST(Merkle, KnownRoots) {
  EXPECT_EQ(to_hex(tlog::Tree().root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(tlog::leaf_hash({})), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

TEST(Merkle, EveryInclusionProofVerifiesAndNoOther) {
  const auto leaves = leaves_of(33);
  const tlog::Tree tree = tree_of(leaves);
  for (std::uint64_t size = 1; size <= 33; ++size) {
    for (std::uint64_t index = 0; index < size; ++index) {
      tlog::Proof proof = tree.inclusion(index, size);
      ASSERT_TRUE(tlog::verify_inclusion(index, size, leaves[index], proof, tree.root(size)));
      EXPECT_FALSE(tlog::verify_inclusion(index, size, leaves[(index + 1) % 33], proof, tree.root(size)));
      EXPECT_FALSE(tlog::verify_inclusion(index, size, leaves[index], proof, tree.root((size % 33) + 1)));
      for (tlog::Hash& hash : proof) {
        hash[31] ^= 1;
        EXPECT_FALSE(tlog::verify_inclusion(index, size, leaves[index], proof, tree.root(size)));
        hash[31] ^= 1;
      }
      proof.push_back(leaves[0]);
      EXPECT_FALSE(tlog::verify_inclusion(index, size, leaves[index], proof, tree.root(size)));
      proof.resize(proof.size() - 1);
      if (proof.empty()) continue;
      proof.pop_back();
      EXPECT_FALSE(tlog::verify_inclusion(index, size, leaves[index], proof, tree.root(size)));
    }
  }
}

TEST(Merkle, EveryConsistencyProofVerifiesAndNoOther) {
  const tlog::Tree tree = tree_of(leaves_of(33));
  for (std::uint64_t size2 = 1; size2 <= 33; ++size2) {
    for (std::uint64_t size1 = 1; size1 <= size2; ++size1) {
      const tlog::Proof proof = tree.consistency(size1, size2);
      ASSERT_TRUE(tlog::verify_consistency(size1, size2, proof, tree.root(size1), tree.root(size2)));
      tlog::Hash other = tree.root(size1);
      other[0] ^= 1;
      EXPECT_FALSE(tlog::verify_consistency(size1, size2, proof, other, tree.root(size2)));
      other = tree.root(size2);
      other[0] ^= 1;
      EXPECT_FALSE(tlog::verify_consistency(size1, size2, proof, tree.root(size1), other));
    }
  }
}

// Hashes that come out right are not enough: a proof is for one shape of tree, and has no more than that
// needs.
TEST(Merkle, ProofsOfAnotherShapeAreRefusedWhateverTheyHashTo) {
  const auto leaves = leaves_of(3);
  const tlog::Hash &a = leaves[0], &b = leaves[1], &c = leaves[2];
  EXPECT_FALSE(tlog::verify_inclusion(0, 1, a, tlog::Proof{b}, tlog::node_hash(b, a)));
  EXPECT_FALSE(tlog::verify_consistency(1, 1, tlog::Proof{b}, a, tlog::node_hash(b, a)));
  EXPECT_FALSE(
      tlog::verify_consistency(5, 4, tlog::Proof{a, b, c}, a, tlog::node_hash(tlog::node_hash(a, b), c)));
  const tlog::Hash first = tlog::node_hash(c, a), second = tlog::node_hash(c, tlog::node_hash(a, b));
  EXPECT_FALSE(tlog::verify_subtree_consistency(1, 3, 4, tlog::Proof{a, b, c}, first, second));
}

// The published proofs, good and bad, and the verdict that each must get.
class Vectors : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* dir = std::getenv("QPCSEAL_VECTORS");
    if (dir == nullptr) GTEST_SKIP() << "QPCSEAL_VECTORS is not set: the published proofs are not here";
    folder_ = std::filesystem::path(dir) / "merkle";
  }

  template <typename Verify>
  void run(const std::string& part, std::size_t expected, Verify verify) {
    std::size_t count = 0;
    for (const auto& item : std::filesystem::recursive_directory_iterator(folder_ / part)) {
      if (item.path().extension() != ".json") continue;
      const encoding::Json vector = encoding::Json::parse(testing::read_text(item.path()));
      const bool bad = vector.value("wantErr", false);
      EXPECT_EQ(verify(vector), !bad) << item.path() << " " << vector.value("desc", "");
      ++count;
    }
    EXPECT_EQ(count, expected);
    std::cout << part << ": " << count << " proofs\n";
  }

  static std::optional<tlog::Hash> hash(const encoding::Json& vector, const char* key) {
    if (!vector.contains(key) || vector[key].is_null()) return std::nullopt;
    const Bytes bytes = from_base64(vector[key].get<std::string>());
    if (bytes.empty()) return std::nullopt;
    return hash_of(bytes).value_or(sha256(bytes));  // some roots are words: any 32 bytes stand for them
  }
  static std::optional<tlog::Hash> hash_of(ByteView bytes) {
    tlog::Hash out;
    if (bytes.size() != out.size()) return std::nullopt;
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
  }
  static std::optional<tlog::Proof> proof(const encoding::Json& vector) {
    tlog::Proof out;
    if (!vector.contains("proof") || vector["proof"].is_null()) return out;
    for (const encoding::Json& one : vector["proof"]) {
      const auto next = hash_of(from_base64(one.get<std::string>()));
      if (!next) return std::nullopt;
      out.push_back(*next);
    }
    return out;
  }
  static std::uint64_t number(const encoding::Json& vector, const char* key) {
    return vector.value(key, std::uint64_t{0});
  }

 private:
  std::filesystem::path folder_;
};

TEST_F(Vectors, Inclusion) {
  run("inclusion", 98, [](const encoding::Json& v) {
    const auto leaf = hash(v, "leafHash"), root = hash(v, "root");
    const auto path = proof(v);
    return leaf && root && path &&
           tlog::verify_inclusion(number(v, "leafIdx"), number(v, "treeSize"), *leaf, *path, *root);
  });
}

TEST_F(Vectors, Consistency) {
  run("consistency", 98, [](const encoding::Json& v) {
    const auto root1 = hash(v, "root1"), root2 = hash(v, "root2");
    const auto path = proof(v);
    return root1 && root2 && path &&
           tlog::verify_consistency(number(v, "size1"), number(v, "size2"), *path, *root1, *root2);
  });
}

TEST_F(Vectors, SubtreeInclusion) {
  run("subtreeinclusion", 204, [](const encoding::Json& v) {
    const auto leaf = hash(v, "leafHash"), root = hash(v, "root");
    const auto path = proof(v);
    return leaf && root && path &&
           tlog::verify_subtree_inclusion(number(v, "leafIdx"), number(v, "start"), number(v, "end"), *leaf,
                                          *path, *root);
  });
}

TEST_F(Vectors, SubtreeConsistency) {
  run("subtreeconsistency", 118, [](const encoding::Json& v) {
    const auto root1 = hash(v, "root1"), root2 = hash(v, "root2");
    const auto path = proof(v);
    return root1 && root2 && path &&
           tlog::verify_subtree_consistency(number(v, "start"), number(v, "end"), number(v, "size"), *path,
                                            *root1, *root2);
  });
}

// A tree that goes on from the edge of another gives the roots of what follows.
TEST(Merkle, ATreeGoesOnFromAnEdge) {
  constexpr std::uint64_t kMost = 70;
  const std::vector<tlog::Hash> leaves = leaves_of(kMost);
  const tlog::Tree whole = tree_of(leaves);
  for (std::uint64_t begun = 0; begun <= kMost; ++begun) {
    const tlog::Tree first = tree_of({leaves.begin(), leaves.begin() + static_cast<std::ptrdiff_t>(begun)});
    tlog::Tree resumed = tlog::Tree::from_edge(begun, first.edge());
    ASSERT_EQ(resumed.size(), begun);
    if (begun > 0) {
      ASSERT_EQ(resumed.leaf(begun - 1), leaves[begun - 1]);
    }
    for (std::uint64_t i = begun; i < kMost; ++i) resumed.append(leaves[i]);
    for (std::uint64_t size = begun; size <= kMost; ++size)
      ASSERT_EQ(resumed.root(size), whole.root(size)) << begun << " " << size;
    EXPECT_EQ(resumed.edge(), whole.edge());
    auto longer = first.edge();
    longer.emplace_back();
    EXPECT_ERROR(Malformed, "edge", tlog::Tree::from_edge(begun, longer));
    if (begun > 2) {
      EXPECT_ERROR(Internal, "does not hold", static_cast<void>(resumed.leaf(0)));
    }
  }
}

}  // namespace
}  // namespace qpcseal::audit
