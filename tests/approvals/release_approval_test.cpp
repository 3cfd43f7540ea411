// SPDX-License-Identifier: Apache-2.0
// Which reports a request for a release is about.
#include "appliance/release/approval.h"

#include <gtest/gtest.h>

#include "tests/base/expect_error.h"

namespace qpcseal::release {
namespace {

Sha256Digest digest(std::size_t number) { return sha256(view(std::to_string(number))); }

std::vector<Sha256Digest> reports(std::size_t count) {
  std::vector<Sha256Digest> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(digest(i));
  return out;
}

encoding::Json parameters(std::size_t count) {
  return release_parameters("a#1", Bytes(16, 1), reports(count));
}

TEST(ReleaseParameters, NameFewReportsThemselves) {
  const encoding::Json few = parameters(kMaxNamedReports);
  EXPECT_EQ(few.at("reports").size(), kMaxNamedReports);
  EXPECT_EQ(list_digest(few), "");
  EXPECT_TRUE(covers_report(few, "", to_hex(digest(0))));
  EXPECT_TRUE(covers_report(few, "", to_hex(digest(kMaxNamedReports - 1))));
  EXPECT_FALSE(covers_report(few, "", to_hex(digest(kMaxNamedReports))));
}

TEST(ReleaseParameters, NameTheListOfMany) {
  constexpr std::size_t kMany = kMaxNamedReports + 1;
  const encoding::Json many = parameters(kMany);
  EXPECT_FALSE(many.contains("reports"));
  EXPECT_EQ(many.at("report_count"), kMany);
  const std::string list = report_list(reports(kMany));
  EXPECT_EQ(list_digest(many), sha256_hex(list));
  for (std::size_t i = 0; i < kMany; ++i) EXPECT_TRUE(covers_report(many, list, to_hex(digest(i)))) << i;
  EXPECT_FALSE(covers_report(many, list, to_hex(digest(kMany))));
  EXPECT_FALSE(covers_report(many, report_list(reports(kMany + 1)), to_hex(digest(0)))) << "another list";
  EXPECT_FALSE(covers_report(many, "", to_hex(digest(0))));
}

// The parameters are what officers signed, so they may say anything.
TEST(ReleaseParameters, ThatContradictThemselvesCoverNothing) {
  const std::string list = report_list(reports(70));
  encoding::Json wrong = parameters(70);
  wrong["report_count"] = 69;
  EXPECT_FALSE(covers_report(wrong, list, to_hex(digest(0))));
  encoding::Json odd = parameters(70);
  const std::string text = "x" + list;
  odd["reports_sha256"] = sha256_hex(text);
  EXPECT_FALSE(covers_report(odd, text, to_hex(digest(0)))) << "no list";
  EXPECT_ERROR(Malformed, "reports_sha256", covers_report({{"mek", "a#1"}}, "", to_hex(digest(0))));
}

TEST(ReleaseParameters, ChangeWithEachReportAndWithTheirOrder) {
  for (const std::size_t count : {2UL, 70UL}) {
    auto other = reports(count);
    std::swap(other[0], other[1]);
    EXPECT_NE(release_parameters("a#1", Bytes(16, 1), other), parameters(count));
    other = reports(count);
    other.back() = digest(count);
    EXPECT_NE(release_parameters("a#1", Bytes(16, 1), other), parameters(count));
    EXPECT_NE(parameters(count + 1), parameters(count));
  }
}

TEST(ReportList, IsDigestsAndLineFeeds) {
  EXPECT_TRUE(is_report_list(report_list(reports(3))));
  EXPECT_FALSE(is_report_list(""));
  std::string text = report_list(reports(2));
  EXPECT_FALSE(is_report_list(text.substr(0, text.size() - 1)));
  text[64] = ' ';
  EXPECT_FALSE(is_report_list(text));
  text[64] = '\n';
  text[3] = 'G';
  EXPECT_FALSE(is_report_list(text));
}

audit::Entry entry_of(std::uint64_t seq, encoding::Json data) {
  audit::Entry out;
  out.seq = seq;
  out.kind = "release";
  out.phase = audit::Phase::Intent;
  out.txn = "t";
  out.data = std::move(data);
  return out;
}

TEST(CarriesApproval, ItselfOrTheOneThatIsNamed) {
  const encoding::Json approval{{"nonce", "n"}};
  const audit::Entry first = entry_of(1, {{"approval", approval}});
  EXPECT_TRUE(carries_approval(first, first));
  EXPECT_TRUE(carries_approval(first, entry_of(2, {{"approved_by", "n"}})));
  EXPECT_FALSE(carries_approval(first, entry_of(2, {{"approved_by", "m"}})));
  EXPECT_FALSE(carries_approval(first, entry_of(2, encoding::Json::object())))
      << "of one transaction is not enough";
  audit::Entry other = first;
  other.kind = "seal";
  EXPECT_FALSE(carries_approval(other, entry_of(2, {{"approved_by", "n"}})));
  audit::Entry event = entry_of(3, {{"agreed", approval}, {"intents", {1U, 2U}}});
  event.phase = audit::Phase::Event;
  EXPECT_TRUE(carries_approval(event, entry_of(2, {{"approved_by", "m"}})));
  EXPECT_FALSE(carries_approval(event, entry_of(4, {{"approved_by", "n"}})));
  EXPECT_EQ(approval_in(event), approval);
  EXPECT_EQ(approval_in(first), approval);
  other = first;
  other.phase = audit::Phase::Result;
  EXPECT_FALSE(carries_approval(other, entry_of(2, {{"approved_by", "n"}})));
}

}  // namespace
}  // namespace qpcseal::release
