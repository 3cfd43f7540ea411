// SPDX-License-Identifier: Apache-2.0
// What keeps a key from the vendor's tool before anybody is asked.
#include "appliance/release/exposure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>

#include "tests/base/finding_ids.h"
#include "tests/release/release_desk.h"

namespace qpcseal::release {
namespace {

using qpcseal::testing::ids;
using ::testing::Contains;

TEST(DeniedExposures, AreThoseWithoutAPinnedTool) {
  qpcseal::testing::ReleaseDesk desk;
  const std::uint64_t before = desk.last();
  try {
    Exposure(desk.appliance(), desk.mek, {"encrypt-model", {}, ""});
    FAIL() << "began";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Denied);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("handing resnet50#1 to the vendor's tool is denied: "));
    EXPECT_THAT(ids(error.findings()), Contains("EXP-TOOL"));
  }
  EXPECT_EQ(desk.last(), before);
}

TEST(DeniedExposures, AreThoseOfAProcessThatMayBeDumped) {
  ASSERT_EQ(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1) << "as each process begins";
  EXPECT_THAT(ids(check_memory({})), Contains("EXP-CORE"));
}

}  // namespace
}  // namespace qpcseal::release
