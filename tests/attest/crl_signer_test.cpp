// SPDX-License-Identifier: Apache-2.0
// Whose a revocation list is, as far as roots show it.
#include "attest/crl_signer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/attest/test_card.h"
#include "tests/base/expect_error.h"

namespace qpcseal::attest {
namespace {

using qpcseal::testing::Identity;
using qpcseal::testing::make_crl;
using qpcseal::testing::make_ec_key;
using qpcseal::testing::make_identity;
using qpcseal::testing::TestCard;

class CrlSigners : public ::testing::Test {
 protected:
  TestCard card;
  const Identity& root = card.root;
  // Of the root's name, with another key.
  Identity impostor = make_identity({.common_name = "Test root"}, make_ec_key("P-384"), nullptr);
  Bytes own = make_crl(root, {}), forged = make_crl(impostor, {}), of_another = make_crl(card.issuer, {});
};

TEST_F(CrlSigners, AreTheRootsOfThatName) {
  EXPECT_EQ(signer_of(own, {root.der()}), CrlSigner::Root);
  EXPECT_EQ(signer_of(forged, {root.der()}), CrlSigner::Nobody);
  EXPECT_EQ(signer_of(forged, {root.der(), impostor.der()}), CrlSigner::Root) << "two keys of one name";
  EXPECT_EQ(signer_of(of_another, {root.der()}), CrlSigner::Unknown);
  EXPECT_EQ(signer_of(own, {}), CrlSigner::Unknown);
}

TEST_F(CrlSigners, WhoAreNobodyAreRefused) {
  refuse_forged({own, of_another}, {root.der()});
  EXPECT_ERROR(Malformed, "that this root did not sign", refuse_forged({own, forged}, {root.der()}));
  EXPECT_ERROR(Malformed, "not one DER CRL", signer_of(view("list"), {root.der()}));
}

}  // namespace
}  // namespace qpcseal::attest
