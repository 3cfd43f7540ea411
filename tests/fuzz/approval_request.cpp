// SPDX-License-Identifier: Apache-2.0
#include "appliance/approval/approval_request.h"

#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

// What is accepted has one written form, so that what officers signed is what was read.
QPCSEAL_FUZZ_TARGET(input) {
  fuzz::accepted([&] {
    const std::string_view text = text_view(input);
    const approval::ApprovalRequest request = approval::parse_approval_request(text);
    fuzz::require(approval::is_approval_request(text), "a request that does not look like one");
    fuzz::require(approval::encode_approval_request(request) == text, "a request in another form");
    fuzz::require(request.not_before < request.not_after, "never valid");
  });
}
