// SPDX-License-Identifier: Apache-2.0
// FIPS 180-4 digests against the published examples.
#include "base/digest.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace qpcseal {
namespace {

constexpr std::string_view kTwoBlocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
constexpr std::string_view kLong =
    "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrst"
    "nopqrstu";

TEST(Sha256, FipsExamples) {
  const std::pair<std::string_view, const char*> vectors[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {kTwoBlocks, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {kLong, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"}};
  for (const auto& [message, digest] : vectors) EXPECT_EQ(sha256_hex(message), digest);
  EXPECT_EQ(sha256_hex(Bytes(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha384, FipsExamples) {
  EXPECT_EQ(to_hex(sha384({})),
            "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da"
            "274edebfe76f65fbd51ad2f14898b95b");
  EXPECT_EQ(to_hex(sha384(view("abc"))),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
            "8086072ba1e7cc2358baeca134c825a7");
  EXPECT_EQ(to_hex(sha384(view(kLong))),
            "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712"
            "fcc7c71a557e2db966c3e9fa91746039");
}

TEST(Sha256, PiecesGiveWhatTheWholeGives) {
  const Bytes message = SystemRandom().bytes(10000);
  for (const std::size_t step : {1U, 63U, 64U, 65U, 4096U, 10000U}) {
    Sha256 hash;
    for (std::size_t at = 0; at < message.size(); at += step)
      hash.update(ByteView(message).subspan(at, std::min(step, message.size() - at)));
    EXPECT_EQ(hash.finish(), sha256(message)) << step;
  }
}

TEST(Sha256, IsReadyAgainAfterFinishAndAfterAMove) {
  Sha256 hash;
  hash.update(view("abc"));
  EXPECT_EQ(hash.finish(), sha256(view("abc")));
  hash.update(view("ab"));
  Sha256 moved = std::move(hash);
  moved.update(view("c"));
  EXPECT_EQ(moved.finish(), sha256(view("abc")));
  EXPECT_EQ(moved.finish(), sha256({}));
}

}  // namespace
}  // namespace qpcseal
