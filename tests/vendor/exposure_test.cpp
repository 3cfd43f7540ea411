// SPDX-License-Identifier: Apache-2.0
// The order of an exposure: the key stays in the token until the log says that it leaves, and leaves once.
#include "appliance/release/exposure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/mek/lifecycle.h"
#include "base/digest.h"
#include "tests/base/expect_error.h"
#include "tests/vendor/pinned_tool.h"

namespace qpcseal::release {
namespace {

using encoding::Json;
using ::testing::ElementsAre;

class Exposures : public qpcseal::testing::PinnedTool {
 protected:
  Exposure exposure() { return Exposure(*appliance_, mek_, {"encrypt-model", {}, sha256_hex("model")}); }
  [[nodiscard]] std::uint64_t exposures() const {
    return appliance_->log().state().meks.at(mek_.id).exposures;
  }
};

TEST_F(Exposures, HandTheKeyOutOnceTheLogSaysSo) {
  Exposure one = exposure();
  EXPECT_ERROR(Internal, "before the log says so", one.fetch());
  one.begin(Json::object());
  EXPECT_ERROR(Internal, "before the log says so", one.fetch());
  EXPECT_EQ(exposures(), 0U);
  one.record(nullptr);
  EXPECT_EQ(exposures(), 1U);
  EXPECT_EQ(one.fetch().size(), 16U);
  EXPECT_ERROR(Internal, "before the log says so", one.fetch()) << "once";
  one.fail(nullptr, "the tool failed");
  EXPECT_THAT(demo().last_entries(3), ElementsAre("mek-expose", "mek-expose", "mek-expose unknown"));
}

TEST_F(Exposures, AreOverWithTheirResult) {
  Exposure one = exposure();
  one.begin(Json::object());
  one.record(nullptr);
  one.commit(nullptr, Json::array({{{"name", "a"}, {"size", 1}, {"sha256", sha256_hex("x")}}}), {});
  EXPECT_ERROR(Internal, "before the log says so", one.fetch());
  EXPECT_THAT(demo().last_entries(1), ElementsAre("mek-expose ok"));
}

TEST_F(Exposures, AreTriedAndThenNothingIsUsedUp) {
  const std::uint64_t before = appliance_->log().state().size;
  static_cast<void>(exposure());
  EXPECT_EQ(appliance_->log().state().size, before);
}

TEST_F(Exposures, AreNotOfASuspendedKey) {
  {
    Exposure one = exposure();
    one.begin(Json::object());
    mek::suspend(*appliance_, mek_.label);
    EXPECT_ERROR(Malformed, "'suspended'", one.record(nullptr));
    EXPECT_ERROR(Internal, "before the log says so", one.fetch());
  }
  demo().close();  // its log takes nothing more
}

}  // namespace
}  // namespace qpcseal::release
