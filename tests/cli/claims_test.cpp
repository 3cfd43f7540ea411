// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qpcseal::cli {
namespace {

using ::testing::ElementsAre;

attest::Claims least_claims() {
  attest::Claims out;
  out.ueid = Bytes(7, 1);
  out.nonce = Bytes(8, 2);
  out.session_key_fault = "no\npublic_key";
  return out;
}

attest::Claims all_claims() {
  attest::Claims out = least_claims();
  out.aud = Bytes(2, 3);
  out.oemid = 0;
  out.hwmodel = Bytes{};
  out.hwversion = attest::HardwareVersion{"1\x1b", std::nullopt};
  out.oemboot = false;
  out.dbgstat = 3;
  out.lifecycle = 0;
  out.session_key = attest::SessionKey{attest::SessionKeyType::P384, {4, 5}};
  out.measurements = {{"fw\n", "", attest::DigestAlgorithm::Sha256, {6}, 0},
                      {"boot", "2\x1b", attest::DigestAlgorithm::Sha256, {7}, std::nullopt}};
  out.submods = {{"sub\x1b", {}, {}, {}, 4, {{"deep", "", attest::DigestAlgorithm::Sha256, {8}, 9}}}};
  return out;
}

// A claim of zero, of false or without bytes is there.
TEST(ClaimRows, AreTheClaimsThatAreThere) {
  EXPECT_THAT(
      claim_rows(all_claims()),
      ElementsAre(
          ElementsAre("ueid", "01010101010101"), ElementsAre("nonce", "0202020202020202"),
          ElementsAre("aud", "0303"), ElementsAre("oemid", "0"), ElementsAre("hwmodel", ""),
          ElementsAre("hwversion", "1\\x1b"), ElementsAre("oemboot", "false"), ElementsAre("dbgstat", "3"),
          ElementsAre("lifecycle", "test"), ElementsAre("session key", "p384 0405"),
          ElementsAre("measurement", "fw\\x0a, SVN 0: 06"), ElementsAre("measurement", "boot 2\\x1b: 07"),
          ElementsAre("submodule", "sub\\x1b, dbgstat 4"), ElementsAre("  measurement", "deep, SVN 9: 08")));
}

TEST(ClaimRows, OfAReportThatSaysLittleSayWhyThereIsNoKey) {
  EXPECT_THAT(
      claim_rows(least_claims()),
      ElementsAre(ElementsAre("ueid", "01010101010101"), ElementsAre("nonce", "0202020202020202"),
                  ElementsAre("dbgstat", "0"), ElementsAre("session key", "none: no\\x0apublic_key")));
}

TEST(ClaimsAsJson, HaveNoMemberForAClaimThatIsNotThere) {
  EXPECT_EQ(as_json(least_claims()).dump(),
            "{\"ueid\":\"01010101010101\",\"nonce\":\"0202020202020202\",\"aud\":\"\",\"dbgstat\":0,"
            "\"session_key\":null,\"measurements\":[],\"submodules\":[]}");
}

TEST(ClaimsAsJson, HaveTextAsItIs) {
  EXPECT_EQ(as_json(all_claims()).dump(),
            "{\"ueid\":\"01010101010101\",\"nonce\":\"0202020202020202\",\"aud\":\"0303\",\"oemid\":0,"
            "\"hwmodel\":\"\",\"hwversion\":\"1\\u001b\",\"oemboot\":false,\"dbgstat\":3,"
            "\"lifecycle\":\"test\",\"session_key\":\"p384\",\"measurements\":["
            "{\"name\":\"fw\\n\",\"version\":\"\",\"digest\":\"06\",\"svn\":0},"
            "{\"name\":\"boot\",\"version\":\"2\\u001b\",\"digest\":\"07\"}],\"submodules\":["
            "{\"name\":\"sub\\u001b\",\"dbgstat\":4,\"measurements\":["
            "{\"name\":\"deep\",\"version\":\"\",\"digest\":\"08\",\"svn\":9}]}]}");
}

}  // namespace
}  // namespace qpcseal::cli
