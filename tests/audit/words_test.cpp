// SPDX-License-Identifier: Apache-2.0
#include "encoding/pgp_words.h"

#include <gtest/gtest.h>

namespace qpcseal::audit {
namespace {

// The example that is published with the list.
TEST(Words, KnownAnswer) {
  EXPECT_EQ(
      encoding::to_words(from_hex("e58294f2e9a227486e8b061b31cc528fd7fa3f19")),
      "topmost Istanbul Pluto vagabond treadmill Pacific brackish dictator goldfish Medusa afflict bravado "
      "chatter revolver Dupont midsummer stopwatch whimsical cowbell bottomless");
  EXPECT_EQ(encoding::to_words({}), "");
}

}  // namespace
}  // namespace qpcseal::audit
