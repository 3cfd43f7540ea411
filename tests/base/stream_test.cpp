// SPDX-License-Identifier: Apache-2.0
#include "base/stream.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace qpcseal {
namespace {

TEST(MemoryStream, GivesAndTakesInOrder) {
  const Bytes in{1, 2, 3, 4, 5};
  Bytes out(5);
  const ByteStream stream = memory_stream(in, out);
  EXPECT_EQ(stream.size, 5U);
  Bytes piece(2);
  stream.read(piece);
  EXPECT_EQ(piece, (Bytes{1, 2}));
  stream.write(piece);
  piece.resize(3);
  stream.read(piece);
  stream.write(piece);
  EXPECT_EQ(out, in);
}

TEST(MemoryStream, RefusesWhatDoesNotFit) {
  const Bytes in(4);
  Bytes out(3);
  const ByteStream stream = memory_stream(in, out);
  stream.write(ByteView(in).first(2));
  EXPECT_THROW(stream.write(ByteView(in).first(2)), Error);
  Bytes piece(5);
  EXPECT_THROW(stream.read(piece), Error);
}

}  // namespace
}  // namespace qpcseal
