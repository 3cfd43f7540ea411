// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/suite.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace qpcseal::keys {
namespace {

constexpr std::array<Suite, 4> kSuites{Suite::EcdhX963, Suite::EcdhEcbKdf, Suite::OaepSha256,
                                       Suite::OaepSha1};

TEST(WrapSuite, HasTheNumberOfTheFormat) {
  EXPECT_EQ(suite_from(1), Suite::EcdhX963);
  EXPECT_EQ(suite_from(2), Suite::EcdhEcbKdf);
  EXPECT_EQ(suite_from(3), Suite::OaepSha256);
  EXPECT_EQ(suite_from(4), Suite::OaepSha1);
  for (const unsigned none : {0U, 5U, 257U, 0xffffffffU}) EXPECT_FALSE(suite_from(none)) << none;
}

TEST(WrapSuite, HasANameThatNoOtherHas) {
  EXPECT_EQ(to_string(Suite::EcdhX963), "ecdh-x963-aeskw");
  EXPECT_EQ(to_string(Suite::EcdhEcbKdf), "ecdh-ecbkdf-aeskw");
  EXPECT_EQ(to_string(Suite::OaepSha256), "rsa-oaep-sha256");
  EXPECT_EQ(to_string(Suite::OaepSha1), "rsa-oaep-sha1");
}

// The second suite takes the shared secret for an AES-256 key: only P-256 gives 32 bytes.
TEST(WrapSuite, ServesTheKeysThatItCanWrapTo) {
  const auto served = [](PeerType type) {
    std::set<Suite> out;
    for (const Suite suite : kSuites)
      if (serves(suite, type)) out.insert(suite);
    return out;
  };
  EXPECT_EQ(served(PeerType::P256), (std::set{Suite::EcdhX963, Suite::EcdhEcbKdf}));
  EXPECT_EQ(served(PeerType::P384), std::set{Suite::EcdhX963});
  EXPECT_EQ(served(PeerType::Rsa), (std::set{Suite::OaepSha256, Suite::OaepSha1}));
}

}  // namespace
}  // namespace qpcseal::keys
