// SPDX-License-Identifier: Apache-2.0
#include "policy/policy.h"

#include "policy/evaluate.h"
#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

QPCSEAL_FUZZ_TARGET(input) {
  fuzz::accepted([&] {
    const policy::Policy read = policy::parse_policy(text_view(input));
    fuzz::require(!policy::show(read).empty(), "nothing to show");
    static_cast<void>(policy::lint(read));
    fuzz::require(!policy::evaluate(read, policy::Facts{}).allowed(), "nothing known, yet allowed");
    fuzz::require(!policy::evaluate(read, policy::SealFacts{}).allowed(), "nothing known, yet allowed");
  });
}
