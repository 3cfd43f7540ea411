// SPDX-License-Identifier: Apache-2.0
// What officers signed, as an auditor has it: a log that its own key signs, and whose policies and officers
// files too few people signed, is refused.
#include "appliance/verdict/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/release/auditor.h"

namespace qpcseal::release {
namespace {

using encoding::Json;
using qpcseal::testing::next_policy;
using ::testing::ElementsAre;

using Auditor = qpcseal::testing::Auditor;

TEST_F(Auditor, TakesPoliciesThatEnoughSigned) { EXPECT_THAT(judge(), ElementsAre("anna", "bela")); }

TEST_F(Auditor, RefusesAFirstPolicyWithTooFewSigners) {
  policies_[0] = item(Json(nullptr), first_, sign(first_, "policy", {"anna"}));
  EXPECT_ERROR(LogDamaged, "must be signed by 2 officers", judge());
}

TEST_F(Auditor, RefusesSignaturesOfAnotherText) {
  policies_[0] = item(Json(nullptr), first_, sign(first_ + "# more\n", "policy", {"anna", "bela"}));
  EXPECT_ERROR(LogDamaged, "signature does not hold", judge());
}

TEST_F(Auditor, RefusesOtherSignersThanTheLogNames) {
  add_policy(next_policy("8"), {"anna", "bela"});
  policies_[1]["signatures"] = sign(last_, "policy", {"bela", "carl"});
  EXPECT_ERROR(LogDamaged, "others signed than the log says", judge());
}

TEST_F(Auditor, RefusesAPolicyThatIsNotTheNamedOne) {
  add_policy(next_policy("8"), {"anna", "bela"});
  policies_[1]["text"] = to_base64(view(next_policy("9")));
  EXPECT_ERROR(LogDamaged, "the entry is not of this policy", judge());
}

TEST_F(Auditor, RefusesAFirstPolicyThatIsNotTheNamedOne) {
  policies_[0] = item(Json(nullptr), next_policy("9"), sign(next_policy("9"), "policy", {"anna", "bela"}));
  EXPECT_ERROR(LogDamaged, "the first policy is not the one that the log names", judge());
}

TEST_F(Auditor, RefusesAPolicyThatCameInBehindTheVerdict) {
  reach_verdict();
  add_policy(next_policy("8"), {"anna", "bela"});
  EXPECT_ERROR(LogDamaged, "a file that came in behind the verdict", judge());
}

TEST_F(Auditor, RefusesPoliciesInAnotherOrder) {
  add_policy(next_policy("9"), {"anna", "bela"});
  add_policy(next_policy("10"), {"anna", "bela"});
  std::swap(policies_[1], policies_[2]);
  EXPECT_ERROR(LogDamaged, "the entry is not of this policy", judge());
}

TEST_F(Auditor, RefusesASerialThatDoesNotRise) {
  add_policy(next_policy("7") + "# more\n", {"anna", "bela"}, 8);
  EXPECT_ERROR(LogDamaged, "a policy whose serial does not rise", judge());
}

TEST_F(Auditor, RefusesABundleWithoutItsPolicies) {
  add_policy(next_policy("8"), {"anna", "bela"});
  const Json all = policies_;
  policies_ = Json::array();
  EXPECT_ERROR(LogDamaged, "who signed the policy is not there", judge());
  policies_ = Json::array({all[0]});
  EXPECT_ERROR(LogDamaged, "who signed the policy is not there", judge());
  policies_ = Json::array({all[1]});
  EXPECT_ERROR(LogDamaged, "the first policy is not there", judge());
  policies_ = Json::array({all[0], all[0]});
  EXPECT_ERROR(LogDamaged, "a second file of the genesis", judge());
}

TEST_F(Auditor, RefusesOfficersThatAreNotTheNamedOnes) {
  const Json first = listed_;
  listed_[0]["text"] = to_base64(view(officers_ + "# more\n"));
  EXPECT_ERROR(LogDamaged, "an officers file is not the one", judge());
  listed_ = Json::array();
  EXPECT_ERROR(LogDamaged, "its officers file is not there", judge());
  listed_ = first;
  listed_[0]["approval"] = Json::object();
  EXPECT_ERROR(LogDamaged, "an officers file out of place", judge());
}

TEST_F(Auditor, TakesALaterPolicyThatEnoughSigned) {
  add_policy(next_policy("8"), {"bela", "carl"});
  add_policy(next_policy("9", "3"), {"anna", "bela", "carl"});
  EXPECT_THAT(judge(), ElementsAre("anna", "bela", "carl"));
}

TEST_F(Auditor, RefusesALaterPolicyWithTooFewSigners) {
  add_policy(next_policy("8"), {"anna"});
  EXPECT_ERROR(LogDamaged, "signed by 1 officers, and needs 2", judge());
}

TEST_F(Auditor, RefusesALaterPolicyThatNobodySigned) {
  add_policy(next_policy("8"), {});
  EXPECT_ERROR(LogDamaged, "signed by 0 officers, and needs 2", judge());
}

TEST_F(Auditor, RefusesALaterPolicyWithFewerSignersThanItAsksForItself) {
  add_policy(next_policy("8", "3"), {"anna", "bela"});
  EXPECT_ERROR(LogDamaged, "signed by 2 officers, and needs 3", judge());
}

TEST_F(Auditor, HoldsEachPolicyToTheOneBeforeIt) {
  add_policy(next_policy("8", "3"), {"anna", "bela", "carl"});
  add_policy(next_policy("9"), {"anna", "bela"});
  EXPECT_ERROR(LogDamaged, "signed by 2 officers, and needs 3", judge());
}

TEST_F(Auditor, RefusesAPolicyOfAnotherAppliance) {
  std::string text = next_policy("8");
  text.replace(text.find("plant-1"), 7, "plant-2");
  add_policy(text, {"anna", "bela"});
  EXPECT_ERROR(LogDamaged, "for the appliance 'plant-2'", judge());
}

TEST_F(Auditor, TakesOfficersThatEnoughAgreedTo) {
  const std::string next = officers_.substr(0, officers_.find("carl "));
  add_officers(next, next, {"anna", "carl"});
  EXPECT_THAT(judge(), ElementsAre("anna", "bela"));
}

TEST_F(Auditor, JudgesAPolicyByTheOfficersOfItsTime) {
  const std::string next = officers_.substr(0, officers_.find("carl "));
  add_officers(next, next, {"anna", "carl"});
  add_policy(next_policy("8"), {"anna", "carl"});
  EXPECT_ERROR(LogDamaged, "signature does not hold", judge());
}

TEST_F(Auditor, RefusesOfficersThatTooFewAgreedTo) {
  const std::string next = officers_.substr(0, officers_.find("carl "));
  add_officers(next, next, {"anna"});
  EXPECT_ERROR(LogDamaged, "officers", judge());
}

TEST_F(Auditor, RefusesOfficersThatNobodyAgreedTo) {
  const std::string next = officers_.substr(0, officers_.find("carl "));
  add_officers(next, officers_ + "# another file\n", {"anna", "bela"});
  EXPECT_ERROR(LogDamaged, "another officers file", judge());
}

TEST_F(Auditor, RefusesLaterOfficersThatAreNotTheNamedOnes) {
  const std::string next = officers_.substr(0, officers_.find("carl "));
  add_officers(next, next, {"anna", "bela"});
  const Json good = listed_.back();
  listed_.back()["text"] = to_base64(view(next + "# more\n"));
  EXPECT_ERROR(LogDamaged, "an officers file is not the one that the log names", judge());
  listed_.back() = good;
  listed_.back()["entry"] = good["approval"]["entry"];
  EXPECT_ERROR(LogDamaged, "an officers file out of place", judge()) << "the intent, not the result";
  listed_.back() = good;
  listed_.back()["approval"]["entry"] = good["entry"];
  EXPECT_ERROR(LogDamaged, "the approval of an officers file is another's", judge());
}

TEST_F(Auditor, RefusesOfficersWithoutAnApproval) {
  const std::string next = officers_.substr(0, officers_.find("carl "));
  add_officers(next, next, {"anna", "bela"});
  listed_.back()["approval"] = nullptr;
  EXPECT_ERROR(Malformed, "bundle: officers", judge());
}

}  // namespace
}  // namespace qpcseal::release
