// SPDX-License-Identifier: Apache-2.0
#include "encoding/cbor.h"

#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

namespace {

void check(const cbor::Value& value, ByteView whole) {
  fuzz::require(equal(value.raw(), whole), "raw() is not the item received");
  // All accessors: each returns or throws Malformed.
  fuzz::accepted([&] { static_cast<void>(value.as_int("x")); });
  fuzz::accepted([&] { static_cast<void>(value.as_map("x")); });
  static_cast<void>(value.find(1));
}

}  // namespace

QPCSEAL_FUZZ_TARGET(input) {
  const bool strict = fuzz::accepted([&] { check(cbor::parse(input, cbor::Level::Strict, "fuzz"), input); });
  const bool sorted =
      fuzz::accepted([&] { check(cbor::parse(input, cbor::Level::Deterministic, "fuzz"), input); });
  fuzz::require(strict || !sorted, "accepted at the higher level alone");
}
