// SPDX-License-Identifier: Apache-2.0
#include "attest/request.h"

#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

QPCSEAL_FUZZ_TARGET(input) {
  fuzz::accepted([&] {
    const attest::Request request = attest::parse_request(input);
    fuzz::require(equal(attest::encode_request(request), input), "a request has two encodings");
  });
}
