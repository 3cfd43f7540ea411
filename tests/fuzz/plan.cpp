// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/plan.h"

#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

QPCSEAL_FUZZ_TARGET(input) {
  fuzz::accepted([&] {
    const ceremony::Plan plan = ceremony::parse_plan(text_view(input), "fuzz.toml");
    fuzz::require(plan.text == text_view(input), "another text than the one that is signed");
    fuzz::require(!plan.steps.empty(), "a plan without steps");
    static_cast<void>(ceremony::show(plan));
  });
}
