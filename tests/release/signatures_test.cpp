// SPDX-License-Identifier: Apache-2.0
// Who signed trust material and release of a bundle: as the log says, as many as the policy asks for, and for
// this release.
#include "appliance/verdict/signatures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/verdict/signature_parts.h"
#include "tests/base/expect_error.h"
#include "tests/release/auditor.h"

namespace qpcseal::verdict {
namespace {

using encoding::Json;
using qpcseal::testing::next_policy;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class BundleSignatures : public qpcseal::testing::Auditor {
 protected:
  [[nodiscard]] Json parameters() const {
    return {{"mek", "a#1"}, {"mek_id", mek_id_}, {"reports", {report_}}};
  }
  // The signers of a release under a request with `key` changed.
  std::vector<std::string> released_with(const std::string& key, const Json& value) {
    Json changed = parameters();
    changed[key] = value;
    add_release(changed, {"anna", "bela"});
    return judge_all().release;
  }
};

TEST_F(BundleSignatures, OfTheFirstTrustAreNone) {
  EXPECT_THAT(judge_all().trust, IsEmpty());
  trust_["signatures"] = Json::array({"a signature"});
  EXPECT_ERROR(LogDamaged, "signatures of the trust material, which nobody signed", judge_all());
}

TEST_F(BundleSignatures, OfLaterTrustAreThoseThatTheLogNames) {
  add_trust("a bundle", {"bela", "carl"});
  EXPECT_THAT(judge_all().trust, ElementsAre("bela", "carl"));
  trust_["signatures"] = sign("a bundle", "collateral", {"anna", "bela"});
  EXPECT_ERROR(LogDamaged, "others signed than the log says", judge_all());
  trust_["signatures"] = sign("a bundle", "policy", {"bela", "carl"});
  EXPECT_ERROR(LogDamaged, "an officer's signature does not hold", judge_all()) << "of another purpose";
}

TEST_F(BundleSignatures, OfLaterTrustMustBeThere) {
  add_trust("a bundle", {"anna"});
  trust_["entry"] = nullptr;
  EXPECT_ERROR(LogDamaged, "who signed the trust is not there", judge_all());
}

TEST_F(BundleSignatures, OfTrustAreOfTheTextInTheBundle) {
  add_trust("a bundle", {"anna"});
  const Json entry = trust_["entry"];
  trust_text_ = "another bundle";
  EXPECT_ERROR(LogDamaged, "the entry is not of this trust", judge_all());
  trust_text_ = "a bundle";
  trust_["entry"] = entry.get<std::uint64_t>() + 1;
  EXPECT_ERROR(LogDamaged, "the entry is not of this trust", judge_all()) << "the result, not the intent";
  trust_["entry"] = 0U;
  EXPECT_ERROR(LogDamaged, "the entry is not of this trust", judge_all()) << "of another kind";
}

TEST_F(BundleSignatures, OfTrustAreFromBeforeTheVerdict) {
  trust_digest_ = sha256_hex("a bundle");
  reach_verdict();
  add_trust("a bundle", {"anna"});
  EXPECT_ERROR(LogDamaged, "the entry is not of this trust", judge_all());
}

TEST_F(BundleSignatures, OfAReleaseAreFromBeforeTheVerdict) {
  reach_verdict();
  add_release(parameters(), {"anna", "bela"});
  EXPECT_ERROR(LogDamaged, "its approval is another release's", judge_all());
}

TEST_F(BundleSignatures, OfTrustAreAtLeastOne) {
  add_trust("a bundle", {});
  EXPECT_ERROR(LogDamaged, "the trust material is signed by 0 officers, and needs 1", judge_all());
}

TEST_F(BundleSignatures, OfTrustAreAsManyAsThePolicyOfThatTimeAsksFor) {
  add_policy(next_policy("8") + "trust-import = 2\n", {"anna", "bela"});
  add_trust("a bundle", {"anna"});
  EXPECT_ERROR(LogDamaged, "the trust material is signed by 1 officers, and needs 2", judge_all());
}

TEST_F(BundleSignatures, OfTrustAreNotAskedForByALaterPolicy) {
  add_trust("a bundle", {"anna"});
  add_policy(next_policy("8") + "trust-import = 2\n", {"anna", "bela"});
  EXPECT_THAT(judge_all().trust, ElementsAre("anna"));
}

TEST_F(BundleSignatures, OfAReleaseAreThoseOfItsApproval) {
  add_release(parameters(), {"anna", "carl"});
  EXPECT_THAT(judge_all().release, ElementsAre("anna", "carl"));
}

TEST_F(BundleSignatures, OfAReleaseAreThereWhereThePolicyAsks) {
  add_release(parameters(), {"anna", "bela"});
  const Json part = release_;
  release_ = nullptr;
  EXPECT_ERROR(LogDamaged, "whether officers agreed is not as the policy asks", judge_all());
  release_ = part;
  intent_.reset();
  EXPECT_ERROR(LogDamaged, "whether officers agreed is not as the policy asks", judge_all())
      << "nobody is asked for a report that does not verify";
}

TEST_F(BundleSignatures, OfAReleaseAreEnough) {
  add_release(parameters(), {"anna"});
  EXPECT_ERROR(LogDamaged, "'release' needs the approval of 2 officers; what counts is 1 (anna)",
               judge_all());
}

TEST_F(BundleSignatures, OfAReleaseAreOfItsOwnEntry) {
  add_release(parameters(), {"anna", "bela"});
  release_["entry"] = *intent_ - 1;
  EXPECT_ERROR(LogDamaged, "its approval is another release's", judge_all());
}

TEST_F(BundleSignatures, OfAReleaseAreForItsReportAndKey) {
  const char* refusal = "what the officers agreed to is another release";
  EXPECT_ERROR(LogDamaged, refusal, released_with("mek", "b#1"));
}

TEST_F(BundleSignatures, OfAReleaseAreForItsKeyById) {
  EXPECT_ERROR(LogDamaged, "what the officers agreed to is another release",
               released_with("mek_id", std::string(32, '9')));
}

TEST_F(BundleSignatures, OfAReleaseAreForItsReport) {
  EXPECT_ERROR(LogDamaged, "what the officers agreed to is another release",
               released_with("reports", Json::array({std::string(64, '9')})));
}

TEST_F(BundleSignatures, OfAReleaseHaveNoListWhereTheRequestNamesTheReports) {
  add_release(parameters(), {"anna", "bela"});
  release_["reports"] = report_ + "\n";
  EXPECT_ERROR(LogDamaged, "what the officers agreed to is another release", judge_all());
}

TEST_F(BundleSignatures, OfAReleaseMayBeOfAListOfReports) {
  const std::string list = std::string(64, '1') + "\n" + report_ + "\n";
  const Json counted{
      {"mek", "a#1"}, {"mek_id", mek_id_}, {"report_count", 2U}, {"reports_sha256", sha256_hex(list)}};
  add_release(counted, {"anna", "bela"});
  release_["reports"] = list;
  EXPECT_THAT(judge_all().release, ElementsAre("anna", "bela"));
  release_["reports"] = std::string(64, '1') + "\n" + std::string(64, '9') + "\n";
  EXPECT_ERROR(LogDamaged, "what the officers agreed to is another release", judge_all());
  release_["reports"] = "";
  EXPECT_ERROR(LogDamaged, "what the officers agreed to is another release", judge_all());
}

TEST_F(BundleSignatures, OfAReleaseAreOfTheRecordInTheLog) {
  add_release(parameters(), {"anna", "bela"});
  release_["signatures"] = sign(release_["request"], "approval", {"anna", "carl"});
  EXPECT_ERROR(LogDamaged, "the approval of 'release' comes out otherwise than the log says", judge_all());
}

TEST_F(BundleSignatures, HaveTheirFourParts) {
  const audit::LogCopy copy = audit::read_log(world_.dir, std::nullopt);
  const audit::Entry genesis = audit::parse_entry(copy.line(0));
  const policy::Policy policy = policy::parse_policy(last_);
  const SignatureSubject subject{copy.checkpoint, genesis, genesis, nullptr, policy, last_, trust_text_};
  EXPECT_ERROR(Malformed, "bundle: signed", check_signatures(Json::object(), subject));
  Json many{
      {"policies", Json::array()}, {"officers", Json::array()}, {"trust", nullptr}, {"release", nullptr}};
  many["policies"] = Json(std::vector<Json>(1025, Json::object()));
  EXPECT_ERROR(Malformed, "bundle: 'policies' is not a list", check_signatures(many, subject));
  many["policies"] = "a policy";
  EXPECT_ERROR(Malformed, "bundle: 'policies' is not a list", check_signatures(many, subject));
}

std::vector<OfficersSince> officers_since(const std::vector<std::uint64_t>& starts) {
  std::vector<OfficersSince> out;
  for (const std::uint64_t since : starts) {
    OfficersSince one;
    one.since = since;
    one.officers.digest = copy(sha256(view(std::to_string(since))));
    out.push_back(std::move(one));
  }
  return out;
}

TEST(OfficersAt, AreThoseWhoseFileCameInBeforeTheEntry) {
  const auto files = officers_since({0, 10, 20});
  const auto since = [&](std::uint64_t seq) {
    const Bytes& digest = officers_at(files, seq).digest;
    return std::ranges::find(files, digest, [](const OfficersSince& one) { return one.officers.digest; })
        ->since;
  };
  for (const auto& [seq, wanted] : {std::pair{0, 0}, {1, 0}, {10, 0}, {11, 10}, {20, 10}, {21, 20}, {99, 20}})
    EXPECT_EQ(since(static_cast<std::uint64_t>(seq)), static_cast<std::uint64_t>(wanted)) << seq;
}

TEST(OfficersAt, AreNotThereBeforeTheFirstFile) {
  EXPECT_ERROR(LogDamaged, "somebody signed, and there are no officers", officers_at({}, 5));
  EXPECT_ERROR(LogDamaged, "somebody signed, and there are no officers",
               officers_at(officers_since({10}), 10));
}

}  // namespace
}  // namespace qpcseal::verdict
