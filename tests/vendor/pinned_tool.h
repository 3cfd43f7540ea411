// SPDX-License-Identifier: Apache-2.0
// One appliance for all tests of a program, whose policy allows the vendor's format and which pins a shell
// script as the vendor's tool; each test has a key of its own. The script runs what it is given as the model.
#pragma once

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "appliance/mek/generate.h"
#include "tests/confine/sandbox_here.h"
#include "tests/support/appliance_fixture.h"

namespace qpcseal::testing {

class PinnedTool : public InSandbox {
 protected:
  void SetUp() override {
    InSandbox::SetUp();
    if (IsSkipped()) return;
    const rlimit none{1, 1};
    ASSERT_TRUE(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && setrlimit(RLIMIT_CORE, &none) == 0);
    appliance_ = &demo().open();
    const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
    mek_ = mek::generate(*appliance_, test->name());
  }
  static DemoAppliance& demo() {
    static DemoAppliance one(with_vendor_format);
    static const bool pinned = pin(one);
    EXPECT_TRUE(pinned);
    return one;
  }

  site::Appliance* appliance_ = nullptr;
  keys::Mek mek_;

 private:
  static std::string with_vendor_format(std::string policy) {
    const std::string suites = "suites = [1, 2, 3]\n";
    policy.insert(policy.find(suites), "formats = [\"vendor\"]\n");
    return policy;
  }
  static bool pin(DemoAppliance& one) {
    static const TempFolder folder("/tmp");  // not in /dev: a sandbox has its own there
    const std::string tool = folder / "tool";
    write_text(tool, "#!/bin/sh\n[ ! -f /qpcseal/in/model.qpc ] || . /qpcseal/in/model.qpc\n");
    site::Repair repair{site::SiteChange{}, false, true};
    repair.site->programs[std::string(audit::kVendorTool)] = {tool};
    repair.site->swap = true;
    const site::Appliance repaired(one.environment(), repair);
    return chmod(tool.c_str(), 0755) == 0;
  }
};

}  // namespace qpcseal::testing
