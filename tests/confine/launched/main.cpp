// SPDX-License-Identifier: Apache-2.0
// The tests of the sandbox once more, in a process that can set up none: its launcher does.
#include <gtest/gtest.h>

#include "confine/launcher.h"
#include "process/system_calls.h"
#include "tests/confine/sandbox_here.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  using namespace qpcseal;
  static_cast<void>(qpcseal::testing::sandbox_is_here());  // once, while this process may start programs
  confine::start_launcher(
      {std::nullopt, [] { static_cast<void>(process::filter_calls(process::Calls::Launcher)); }});
  if (!process::filter_calls(process::Calls::Token)) return 1;
  return RUN_ALL_TESTS();
}
