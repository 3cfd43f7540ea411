// SPDX-License-Identifier: Apache-2.0
// What a host's driver must allow for while a card decrypts a model.
#include "device/loader/host_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qpcseal::device {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

TEST(HostSettings, ASmallModelNeedsNothing) {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, 300 * kMiB}) {
    const HostSettings settings = settings_for(size);
    EXPECT_FALSE(settings.large) << size;
    EXPECT_EQ(settings.control_resp_timeout_s, kControlTimeout);
    EXPECT_EQ(settings_text(settings), "");
  }
}

TEST(HostSettings, ALargeModelGetsTheGuidesValues) {
  const HostSettings settings = settings_for(300 * kMiB + 1);
  EXPECT_TRUE(settings.large);
  EXPECT_EQ(settings.seconds, 31U);
  EXPECT_THAT(settings_text(settings),
              HasSubstr("echo 2400 > /sys/module/qaic/parameters/control_resp_timeout_s"));
  EXPECT_THAT(settings_text(settings), HasSubstr("echo 600000 > /sys/module/qaic/parameters/mhi_timeout_ms"));
}

TEST(HostSettings, AnEnormousModelGetsMore) {
  const HostSettings settings = settings_for(40960 * kMiB);
  EXPECT_EQ(settings.seconds, 4096U);
  EXPECT_EQ(settings.control_resp_timeout_s, 8192U);
}

}  // namespace
}  // namespace qpcseal::device
