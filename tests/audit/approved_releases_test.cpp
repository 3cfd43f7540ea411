// SPDX-License-Identifier: Apache-2.0
// Releases under one approval: one intent carries it, the others name it, until officers reject what is left.
#include <gtest/gtest.h>

#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::HostLog;
using testing::TempFolder;

constexpr std::size_t kSize = 32;  // bytes, of a nonce and of a digest

const std::string kMek(32, '1');  // id, hex

std::string digits(std::uint8_t what) { return to_hex(Bytes(kSize, what)); }

encoding::Json intent(std::uint8_t report) {
  return {{"nonce", digits(report)},
          {"mek_id", kMek},
          {"report_sha256", digits(report)},
          {"ueid", "01"},
          {"policy", testing::genesis_data()["policy"]}};
}
encoding::Json carrying(std::uint8_t report, std::uint8_t request) {
  encoding::Json out = intent(report);
  out["approval"] = {{"nonce", digits(request)}, {"request_sha256", digits(0xa0 + request)}};
  return out;
}
encoding::Json naming(std::uint8_t report, std::uint8_t request) {
  encoding::Json out = intent(report);
  out["approved_by"] = digits(request);
  return out;
}
encoding::Json rejection(std::uint8_t request, std::uint8_t digest) {
  return {{"operation", "release"}, {"nonce", digits(request)}, {"request_sha256", digits(digest)}};
}

class ApprovedReleases : public ::testing::Test {
 protected:
  TempFolder dir;
  HostLog host{dir / "log"};
  Log log = make();

 private:
  Log make() {
    Log out = host.create();
    out.result(out.intent("mek-generate", {{"mek_id", kMek}, {"label", "m#1"}, {"generation", 1}}), "ok",
               encoding::Json::object());
    return out;
  }
};

TEST_F(ApprovedReleases, TheOthersNameTheOneThatCarriesIt) {
  log.intents("release", {carrying(1, 7), naming(2, 7)});
  log.intent("release", naming(3, 7));
  EXPECT_EQ(log.state().approvals_used.at(digits(7)), digits(0xa7));
  EXPECT_EQ(host.open().state(), log.state());
}

TEST_F(ApprovedReleases, TheOneMustComeFirst) {
  EXPECT_ERROR(Malformed, "an approval that is not there", host.open().intent("release", naming(1, 7)));
  EXPECT_ERROR(Malformed, "an approval that is not there",
               host.open().intents("release", {naming(1, 7), carrying(2, 7)}));
}

TEST_F(ApprovedReleases, OnlyOneCarriesIt) {
  log.intent("release", carrying(1, 7));
  EXPECT_ERROR(Malformed, "used before", log.intent("release", carrying(2, 7)));
}

TEST_F(ApprovedReleases, ARejectionEndsWhatIsLeft) {
  log.intent("release", carrying(1, 7));
  log.event("rejection", rejection(7, 0xa7));
  EXPECT_ERROR(Malformed, "an approval that is not there", host.open().intent("release", naming(2, 7)));
  EXPECT_ERROR(Malformed, "rejection of a request that was used before",
               host.open().event("rejection", rejection(7, 0xa7)));
}

TEST_F(ApprovedReleases, ARejectionIsOfThatRequest) {
  log.intent("release", carrying(1, 7));
  EXPECT_ERROR(Malformed, "rejection of a request that was used before",
               log.event("rejection", rejection(7, 0xa8)));
}

TEST_F(ApprovedReleases, WhatWasRejectedCarriesNothing) {
  log.event("rejection", rejection(7, 0xa7));
  EXPECT_ERROR(Malformed, "used before", host.open().intent("release", carrying(1, 7)));
  EXPECT_ERROR(Malformed, "an approval that is not there", host.open().intent("release", naming(1, 7)));
}

encoding::Json agreement(std::uint8_t request, std::vector<std::uint64_t> intents) {
  return {{"agreed", {{"nonce", digits(request)}, {"request_sha256", digits(0xa0 + request)}}},
          {"intents", std::move(intents)}};
}

// Begun under one request or none, and gone on with under another.
TEST_F(ApprovedReleases, AnAgreementCoversOpenOnes) {
  const auto begun = log.intents("release", {carrying(1, 7), naming(2, 7), intent(3)});
  log.event("rejection", rejection(7, 0xa7));
  log.event("release", agreement(8, {begun[0].seq, begun[1].seq, begun[2].seq}));
  log.intent("release", naming(4, 8));
  log.event("release", agreement(8, {begun[0].seq}));
  EXPECT_EQ(host.open().state(), log.state());
}

TEST_F(ApprovedReleases, AnAgreementCoversNothingElse) {
  const auto begun = log.intents("release", {carrying(1, 7), intent(2)});
  log.result(begun[1], "denied", encoding::Json::object());
  log.event("rejection", rejection(9, 0xa9));
  const std::vector<std::pair<encoding::Json, const char*>> wrong = {
      {agreement(8, {}), "covers no release"},
      {agreement(8, {begun[1].seq}), "no open release"},
      {agreement(8, {0}), "no open release"},
      {agreement(9, {begun[0].seq}), "used before"},
      {{{"agreed", {{"nonce", digits(7)}, {"request_sha256", digits(1)}}}, {"intents", {begun[0].seq}}},
       "used before"}};
  for (const auto& [data, words] : wrong) EXPECT_ERROR(Malformed, words, host.open().event("release", data));
  encoding::Json named = agreement(8, {});
  named["intents"] = encoding::Json::array({"one"});
  EXPECT_ERROR(Malformed, "no number of an entry", host.open().event("release", named));
}

TEST_F(ApprovedReleases, OnlyAReleasesRequestIsNamed) {
  encoding::Json challenge = testing::challenge_data(1);
  challenge["approval"] = {{"nonce", digits(7)}, {"request_sha256", digits(0xa7)}};
  log.event("challenge", challenge);
  EXPECT_ERROR(Malformed, "an approval that is not there", host.open().intent("release", naming(2, 7)));
}

// A ceremony's approval is of its plan: no request, so nothing goes on under it.
TEST_F(ApprovedReleases, ACeremonysApprovalIsNotNamed) {
  encoding::Json data = intent(1);
  data["approval"] = {{"nonce", digits(7)}, {"ceremony", "c"}};
  log.intent("release", data);
  EXPECT_ERROR(Malformed, "an approval that is not there", log.intent("release", naming(2, 7)));
}

}  // namespace
}  // namespace qpcseal::audit
