// SPDX-License-Identifier: Apache-2.0
// Hashing side by side gives what hashing one after the other gives.
#include "base/piece_digest.h"

#include <gtest/gtest.h>

#include <thread>

namespace qpcseal {
namespace {

Bytes text_of_size(std::size_t size) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>((i * 31) ^ (i >> 7U));
  return out;
}

// By sha256() alone.
std::vector<Sha256Digest> wanted(ByteView bytes) {
  std::vector<Sha256Digest> out;
  for (std::size_t at = 0; at < bytes.size(); at += kPieceSize)
    out.push_back(sha256(bytes.subspan(at, std::min(kPieceSize, bytes.size() - at))));
  return out;
}

// Around the borders of pieces, of SHA-256's blocks and of its padding.
std::vector<std::size_t> border_sizes() {
  std::vector<std::size_t> out{0, 1, 2};
  for (const std::size_t border :
       {std::size_t{55}, std::size_t{56}, std::size_t{63}, std::size_t{64}, kPieceSize, 2 * kPieceSize,
        3 * kPieceSize, 15 * kPieceSize, 16 * kPieceSize, 17 * kPieceSize, 32 * kPieceSize})
    for (const std::size_t more : {0U, 1U, 2U, 55U, 56U, 63U, 64U, 65U}) {
      out.push_back(border + more);
      out.push_back(border - std::min(border, more));
    }
  return out;
}

class PieceDigests : public ::testing::TestWithParam<PieceEngine> {};

TEST_P(PieceDigests, AreThoseOfEachPieceAtEveryBorder) {
  PieceDigester digester(GetParam());
  const Bytes all = text_of_size((33 * kPieceSize) + 100);
  for (const std::size_t size : border_sizes())
    EXPECT_EQ(digester.digests(ByteView(all).first(size)), wanted(ByteView(all).first(size))) << size;
}

TEST_P(PieceDigests, DoNotDependOnWhereTheBytesLie) {
  PieceDigester digester(GetParam());
  const Bytes all = text_of_size((5 * kPieceSize) + 100);
  for (std::size_t at = 0; at < 70; ++at) {
    const ByteView bytes = ByteView(all).subspan(at, (4 * kPieceSize) + 7);
    ASSERT_EQ(digester.digests(bytes), wanted(bytes)) << at;
  }
}

TEST_P(PieceDigests, EachThreadHasItsOwn) {
  const Bytes all = text_of_size((20 * kPieceSize) + 3);
  const std::vector<Sha256Digest> right = wanted(all);
  std::vector<int> agreed(4);
  {
    std::vector<std::jthread> threads;
    for (int& one : agreed)
      threads.emplace_back([&] {
        PieceDigester digester(GetParam());
        for (int i = 0; i < 5; ++i) one += digester.digests(all) == right ? 1 : 0;
      });
  }
  EXPECT_EQ(agreed, std::vector<int>(4, 5));
}

INSTANTIATE_TEST_SUITE_P(Engines, PieceDigests,
                         ::testing::Values(PieceEngine::Fastest, PieceEngine::SideBySide,
                                           PieceEngine::OneByOne));

#ifdef QPCSEAL_HAVE_IPSEC_MB
TEST(PieceDigester, UsesTheLibraryThatTheBuildFound) {
  EXPECT_TRUE(PieceDigester(PieceEngine::SideBySide).side_by_side());
  EXPECT_FALSE(PieceDigester(PieceEngine::OneByOne).side_by_side());
}
#endif

}  // namespace
}  // namespace qpcseal
