// SPDX-License-Identifier: Apache-2.0
#include "base/free_room.h"

#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal {
namespace {

TEST(FreeRoom, IsOfTheFolder) {
  const testing::TempFolder dir;
  EXPECT_GT(free_room(dir.path()), 0U);
  EXPECT_ERROR(Io, "missing", free_room(dir / "missing"));
}

TEST(FreeRoom, IsWithoutBoundsWhereAFileSystemHasNoSize) { EXPECT_EQ(free_room("/proc"), UINT64_MAX); }

}  // namespace
}  // namespace qpcseal
