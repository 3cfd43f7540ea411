// SPDX-License-Identifier: Apache-2.0
// Whether this machine can have a sandbox at all, asked of bubblewrap itself: in many containers it cannot,
// and a test that needs one is skipped there, and says so.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>

namespace qpcseal::testing {

inline bool sandbox_is_here() {
  static const bool here = std::system(
                               "bwrap --unshare-all --unshare-user --disable-userns --ro-bind / / --proc "
                               "/proc --dev /dev --tmpfs /tmp true "
                               ">/dev/null 2>&1") == 0;
  return here;
}

class InSandbox : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!sandbox_is_here()) GTEST_SKIP() << "bubblewrap can make no sandbox on this machine";
  }
};

}  // namespace qpcseal::testing
