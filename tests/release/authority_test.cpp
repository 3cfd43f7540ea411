// SPDX-License-Identifier: Apache-2.0
// What officers signed, as an auditor has it: a log that its own key signs, and whose policies and officers
// files too few people signed, is refused.
#include "appliance/verdict/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "appliance/approval/quorum.h"
#include "appliance/audit/read.h"
#include "appliance/site/pinned_files.h"
#include "base/file.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"
#include "tests/policy/sample.h"

namespace qpcseal::release {
namespace {

using encoding::Json;
using qpcseal::testing::sample_policy_text;
using ::testing::ElementsAre;

const UnixTime kThen = qpcseal::testing::SetClock().time;
const std::string kAud(32, 'c');

std::string policy_text(const std::string& serial, const std::string& greatest = "2") {
  std::string text = sample_policy_text("serial = 7", "serial = " + serial);
  text.replace(text.find("2027-01-01"), 10, "2099-01-01");
  text += "policy-change = " + greatest + "\nofficers-change = " + greatest + "\n";
  if (greatest != "2") text.replace(text.find("release = 2"), 11, "release = " + greatest);
  return text;
}

class Auditor : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"anna", "bela", "carl"}) {
      ASSERT_EQ(shell(std::string("ssh-keygen -q -N '' -t ed25519 -f ") + name), 0);
      officers_ += std::string(name) + " namespaces=\"approval@qpcseal,policy@qpcseal,officers@qpcseal\" " +
                   read_text_file(folder_ / (std::string(name) + ".pub"), 4096);
    }
    Json genesis = qpcseal::testing::genesis_data();
    genesis.update({{"appliance_id", "plant-1"},
                    {"aud", kAud},
                    {"insecure_demo", false},
                    {"token", {{"serial", "01"}}},
                    {"policy", {{"digest", sha256_hex(first_)}, {"serial", 7}}},
                    {"officers", sha256_hex(officers_)}});
    log_.emplace(audit::Log::create(world_.settings(), world_.signer, qpcseal::testing::kOrigin, genesis));
    policies_.push_back(item(Json(nullptr), first_, sign(first_, "policy", {"anna", "bela"})));
    listed_.push_back({{"entry", nullptr}, {"text", to_base64(view(officers_))}, {"approval", nullptr}});
  }

  [[nodiscard]] int shell(const std::string& command) const {
    return std::system(("cd '" + folder_.path().string() + "' && " + command + " >/dev/null 2>&1").c_str());
  }
  [[nodiscard]] std::vector<std::string> sign(const std::string& text, const std::string& space,
                                              const std::vector<std::string>& names) const {
    std::vector<std::string> out;
    for (const std::string& name : names) {
      write_file(folder_ / "text", view(text), Existing::Replace);
      EXPECT_EQ(
          shell("rm -f text.sig && ssh-keygen -q -Y sign -f " + name + " -n " + space + "@qpcseal text"), 0);
      out.push_back(read_text_file(folder_ / "text.sig", 4096));
    }
    return out;
  }
  [[nodiscard]] Json approvers(const std::string& text, const std::string& space,
                               const std::vector<std::string>& signatures) const {
    return approval::as_json(approval::tally_signatures(approval::parse_officers(officers_),
                                                        space + "@qpcseal", view(text), signatures, kThen)
                                 .approvers);
  }
  static Json item(Json entry, const std::string& text, const std::vector<std::string>& signatures) {
    return {{"entry", std::move(entry)}, {"text", to_base64(view(text))}, {"signatures", signatures}};
  }

  // A later policy, in force with the signatures of these.
  void add_policy(const std::string& text, const std::vector<std::string>& names) {
    const auto signatures = sign(text, "policy", names);
    const auto txn = log_->intent("policy", {{"digest", sha256_hex(text)},
                                             {"serial", policy::parse_policy(text).serial.value},
                                             {"approvers", approvers(text, "policy", signatures)}});
    log_->result(txn, "ok", {{"digest", sha256_hex(text)}});
    policies_.push_back(item(Json(txn.seq), text, signatures));
    last_ = text;
  }

  // Another officers file, in force by a request that these signed, which asks for `agreed`.
  void add_officers(const std::string& text, const std::string& agreed,
                    const std::vector<std::string>& names) {
    approval::ApprovalRequest request;
    request.operation = "officers-change";
    request.parameters = {{"officers_sha256", sha256_hex(agreed)}};
    request.appliance_id = "plant-1";
    request.aud = kAud;
    request.token_serial = "01";
    request.policy_digest = sha256_hex(last_);
    request.officers_digest = sha256_hex(officers_);
    request.log_size = log_->state().size;
    request.log_root = to_hex(log_->tree().root(request.log_size));
    request.nonce = std::string(64, '1');
    request.not_before = kThen - 60;
    request.not_after = kThen + 3600;
    request.threshold = 2;
    const std::string asked = approval::encode_approval_request(request);
    const auto signatures = sign(asked, "officers", names);
    const Json record{{"nonce", request.nonce},
                      {"request_sha256", sha256_hex(asked)},
                      {"time", static_cast<std::uint64_t>(kThen)},
                      {"approvers", approvers(asked, "officers", signatures)}};
    const auto txn = log_->intent("officers", {{"digest", sha256_hex(text)}, {"approval", record}});
    const std::uint64_t result = log_->result(txn, "ok", {{"digest", sha256_hex(text)}});
    listed_.push_back({{"entry", result},
                       {"text", to_base64(view(text))},
                       {"approval",
                        {{"entry", txn.seq},
                         {"signatures", signatures},
                         {"request", asked},
                         {"reports", ""},
                         {"head", request.log_size}}}});
  }

  // The bundle's part as it would be made of this log, judged.
  [[nodiscard]] std::vector<std::string> judge() {
    const std::uint64_t verdict =
        log_->event("denied", {{"judged", {{"trust", qpcseal::testing::genesis_data().at("trust")}}}});
    const audit::LogCopy copy = audit::read_log(world_.dir, std::nullopt);
    const auto prove = [&](Json& entry) {
      if (entry.is_number()) entry = audit::proven(copy, entry.get<std::uint64_t>());
    };
    for (Json& each : policies_) prove(each["entry"]);
    for (Json& each : listed_) {
      prove(each["entry"]);
      if (!each["approval"].contains("head")) continue;
      prove(each["approval"]["entry"]);
      Json& head = each["approval"]["head"];
      head = audit::as_json(copy.tree.consistency(head.get<std::uint64_t>(), copy.checkpoint.size));
    }
    const Json part{{"policies", policies_},
                    {"trust", {{"entry", nullptr}, {"signatures", Json::array()}}},
                    {"release", nullptr},
                    {"officers", listed_}};
    const audit::Entry genesis = audit::parse_entry(copy.line(0)),
                       entry = audit::parse_entry(copy.line(verdict));
    const policy::Policy policy = policy::parse_policy(last_);
    return verdict::check_signatures(part, {copy.checkpoint, genesis, entry, nullptr, policy, last_, ""})
        .policy;
  }

  qpcseal::testing::TempFolder folder_;
  qpcseal::testing::HostLog world_{folder_ / "log"};
  std::optional<audit::Log> log_;
  const std::string first_ = policy_text("7");
  std::string last_ = first_, officers_;
  Json policies_ = Json::array(), listed_ = Json::array();
};

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
  add_policy(policy_text("8"), {"anna", "bela"});
  policies_[1]["signatures"] = sign(last_, "policy", {"bela", "carl"});
  EXPECT_ERROR(LogDamaged, "others signed than the log says", judge());
}

TEST_F(Auditor, RefusesAPolicyThatIsNotTheNamedOne) {
  add_policy(policy_text("8"), {"anna", "bela"});
  policies_[1]["text"] = to_base64(view(policy_text("9")));
  EXPECT_ERROR(LogDamaged, "the entry is not of this policy", judge());
}

TEST_F(Auditor, RefusesASerialThatDoesNotRise) {
  add_policy(policy_text("9"), {"anna", "bela"});
  add_policy(policy_text("10"), {"anna", "bela"});
  std::swap(policies_[1], policies_[2]);
  EXPECT_ERROR(LogDamaged, "the entry is not of this policy", judge());
}

TEST_F(Auditor, RefusesABundleWithoutItsPolicies) {
  add_policy(policy_text("8"), {"anna", "bela"});
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
  add_policy(policy_text("8"), {"bela", "carl"});
  add_policy(policy_text("9", "3"), {"anna", "bela", "carl"});
  EXPECT_THAT(judge(), ElementsAre("anna", "bela", "carl"));
}

TEST_F(Auditor, RefusesALaterPolicyWithTooFewSigners) {
  add_policy(policy_text("8"), {"anna"});
  EXPECT_ERROR(LogDamaged, "signed by 1 officers, and needs 2", judge());
}

TEST_F(Auditor, RefusesALaterPolicyThatNobodySigned) {
  add_policy(policy_text("8"), {});
  EXPECT_ERROR(LogDamaged, "signed by 0 officers, and needs 2", judge());
}

TEST_F(Auditor, RefusesALaterPolicyWithFewerSignersThanItAsksForItself) {
  add_policy(policy_text("8", "3"), {"anna", "bela"});
  EXPECT_ERROR(LogDamaged, "signed by 2 officers, and needs 3", judge());
}

TEST_F(Auditor, HoldsEachPolicyToTheOneBeforeIt) {
  add_policy(policy_text("8", "3"), {"anna", "bela", "carl"});
  add_policy(policy_text("9"), {"anna", "bela"});
  EXPECT_ERROR(LogDamaged, "signed by 2 officers, and needs 3", judge());
}

TEST_F(Auditor, RefusesAPolicyOfAnotherAppliance) {
  std::string text = policy_text("8");
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
  add_policy(policy_text("8"), {"anna", "carl"});
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

TEST_F(Auditor, RefusesOfficersWithoutAnApproval) {
  const std::string next = officers_.substr(0, officers_.find("carl "));
  add_officers(next, next, {"anna", "bela"});
  listed_.back()["approval"] = nullptr;
  EXPECT_ERROR(Malformed, "bundle: officers", judge());
}

}  // namespace
}  // namespace qpcseal::release
