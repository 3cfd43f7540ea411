// SPDX-License-Identifier: Apache-2.0
#include "attest/cose.h"

#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

QPCSEAL_FUZZ_TARGET(input) {
  attest::CoseProfile card{
      {61, 18}, cbor::Level::Deterministic, {attest::CoseAlgorithm::Es384}, {1, 3, 33}, {}};
  attest::CoseProfile loose{
      {18},
      cbor::Level::Strict,
      {attest::CoseAlgorithm::Es256, attest::CoseAlgorithm::Es384, attest::CoseAlgorithm::Es512},
      {1, 3, 4, 33},
      {1, 4}};
  for (const attest::CoseProfile& profile : {card, loose})
    fuzz::accepted([&] {
      const attest::Sign1 message = attest::parse_sign1(input, profile);
      fuzz::require(!attest::sig_structure(message).empty(), "nothing to sign");
    });
}
