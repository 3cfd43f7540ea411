// SPDX-License-Identifier: Apache-2.0
// An auditor with a bundle's signatures: of policies, officers files, trust material and a release, by
// officers whose keys ssh-keygen made, beside a log that names them. Each part can be set wrong.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "appliance/approval/quorum.h"
#include "appliance/audit/read.h"
#include "appliance/release/approval.h"
#include "appliance/site/pinned_files.h"
#include "appliance/verdict/authority.h"
#include "base/file.h"
#include "tests/audit/host_log.h"
#include "tests/base/temp_folder.h"
#include "tests/policy/sample.h"

namespace qpcseal::testing {

inline std::string next_policy(const std::string& serial, const std::string& greatest = "2") {
  std::string text = sample_policy_text("serial = 7", "serial = " + serial);
  text.replace(text.find("2027-01-01"), 10, "2099-01-01");
  text += "policy-change = " + greatest + "\nofficers-change = " + greatest + "\n";
  if (greatest != "2") text.replace(text.find("release = 2"), 11, "release = " + greatest);
  return text;
}

class Auditor : public ::testing::Test {
 protected:
  using Json = encoding::Json;

  void SetUp() override {
    for (const char* name : {"anna", "bela", "carl"}) {
      ASSERT_EQ(shell(std::string("ssh-keygen -q -N '' -t ed25519 -f ") + name), 0);
      officers_ += std::string(name) +
                   " namespaces=\"approval@qpcseal,policy@qpcseal,officers@qpcseal,collateral@qpcseal\" " +
                   read_text_file(folder_ / (std::string(name) + ".pub"), 4096);
    }
    Json genesis = genesis_data();
    genesis.update({{"appliance_id", "plant-1"},
                    {"aud", aud_},
                    {"insecure_demo", false},
                    {"token", {{"serial", "01"}}},
                    {"policy", {{"digest", sha256_hex(first_)}, {"serial", 7}}},
                    {"officers", sha256_hex(officers_)}});
    log_.emplace(audit::Log::create(world_.settings(), world_.signer, kOrigin, genesis));
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
                                                        space + "@qpcseal", view(text), signatures, then_)
                                 .approvers);
  }
  static Json item(Json entry, const std::string& text, const std::vector<std::string>& signatures) {
    return {{"entry", std::move(entry)}, {"text", to_base64(view(text))}, {"signatures", signatures}};
  }

  // A later policy, in force with the signatures of these.
  void add_policy(const std::string& text, const std::vector<std::string>& names,
                  std::optional<std::uint64_t> logged_serial = std::nullopt) {
    const auto signatures = sign(text, "policy", names);
    const auto txn =
        log_->intent("policy", {{"digest", sha256_hex(text)},
                                {"serial", logged_serial.value_or(policy::parse_policy(text).serial.value)},
                                {"approvers", approvers(text, "policy", signatures)}});
    log_->result(txn, "ok", {{"digest", sha256_hex(text)}});
    policies_.push_back(item(Json(txn.seq), text, signatures));
    last_ = text;
  }

  // A request for approval as of now, under the policy and the officers of now.
  [[nodiscard]] approval::ApprovalRequest request_for(const std::string& operation, Json parameters) const {
    approval::ApprovalRequest request;
    request.operation = operation;
    request.parameters = std::move(parameters);
    request.appliance_id = "plant-1";
    request.aud = aud_;
    request.token_serial = "01";
    request.policy_digest = sha256_hex(last_);
    request.officers_digest = sha256_hex(officers_);
    request.log_size = log_->state().size;
    request.log_root = to_hex(log_->tree().root(request.log_size));
    request.nonce = std::string(64, '1');
    request.not_before = then_ - 60;
    request.not_after = then_ + 3600;
    request.threshold = 2;
    return request;
  }
  // The record in the log that these approved it, and the part of the bundle; its entry comes later.
  struct Approved {
    Json record, part;
  };
  [[nodiscard]] Approved approved(const approval::ApprovalRequest& request, const std::string& space,
                                  const std::vector<std::string>& names) const {
    const std::string asked = approval::encode_approval_request(request);
    const auto signatures = sign(asked, space, names);
    return {{{"nonce", request.nonce},
             {"request_sha256", sha256_hex(asked)},
             {"time", static_cast<std::uint64_t>(then_)},
             {"approvers", approvers(asked, space, signatures)}},
            {{"entry", nullptr},
             {"signatures", signatures},
             {"request", asked},
             {"reports", ""},
             {"head", request.log_size}}};
  }

  // Another officers file, in force by a request that these signed, which asks for `agreed`.
  void add_officers(const std::string& text, const std::string& agreed,
                    const std::vector<std::string>& names) {
    Approved consent = approved(request_for("officers-change", {{"officers_sha256", sha256_hex(agreed)}}),
                                "officers", names);
    const auto txn = log_->intent("officers", {{"digest", sha256_hex(text)}, {"approval", consent.record}});
    const std::uint64_t result = log_->result(txn, "ok", {{"digest", sha256_hex(text)}});
    consent.part["entry"] = txn.seq;
    listed_.push_back({{"entry", result}, {"text", to_base64(view(text))}, {"approval", consent.part}});
  }

  // Trust material of this text, in force with the signatures of these.
  void add_trust(const std::string& text, const std::vector<std::string>& names) {
    const auto signatures = sign(text, "collateral", names);
    const auto txn = log_->intent("trust", {{"digest", sha256_hex(text)},
                                            {"serial", 1U},
                                            {"crls", Json::array()},
                                            {"approvers", approvers(text, "collateral", signatures)}});
    log_->result(txn, "ok", {{"digest", sha256_hex(text)}});
    trust_ = {{"entry", txn.seq}, {"signatures", signatures}};
    trust_text_ = text;
    trust_digest_ = sha256_hex(text);
  }

  // A release for one report, under a request for `parameters` that these signed.
  void add_release(const Json& parameters, const std::vector<std::string>& names) {
    const auto made =
        log_->intent("mek-generate", {{"mek_id", mek_id_}, {"label", "a#1"}, {"generation", 1U}});
    log_->result(made, "ok", Json::object());
    const Approved consent = approved(request_for("release", parameters), "approval", names);
    intent_ = log_->intent("release", {{"nonce", std::string(64, '4')},
                                       {"mek", "a#1"},
                                       {"mek_id", mek_id_},
                                       {"ueid", "01"},
                                       {"report_sha256", report_},
                                       {"policy", {{"digest", log_->state().policy_digest}, {"serial", 7U}}},
                                       {"approval", consent.record}})
                  .seq;
    release_ = consent.part;
    release_["entry"] = *intent_;
  }

  // The verdict that the bundle is about: what comes later is behind it.
  std::uint64_t reach_verdict() {
    verdict_ = log_->event("denied", {{"judged", {{"trust", trust_digest_}}}});
    return *verdict_;
  }
  // The bundle's part as it would be made of this log, judged; of a verdict as of now where there is none.
  verdict::Signatures judge_all() {
    const std::uint64_t verdict = verdict_ ? *verdict_ : reach_verdict();
    const audit::LogCopy copy = audit::read_log(world_.dir, std::nullopt);
    const auto prove = [&](Json& entry) {
      if (entry.is_number()) entry = audit::proven(copy, entry.get<std::uint64_t>());
    };
    const auto prove_consent = [&](Json& part) {
      if (!part.contains("head")) return;
      prove(part["entry"]);
      part["head"] =
          audit::as_json(copy.tree.consistency(part["head"].get<std::uint64_t>(), copy.checkpoint.size));
    };
    Json part{{"policies", policies_}, {"trust", trust_}, {"release", release_}, {"officers", listed_}};
    for (Json& each : part["policies"]) prove(each["entry"]);
    for (Json& each : part["officers"]) {
      prove(each["entry"]);
      prove_consent(each["approval"]);
    }
    prove(part["trust"]["entry"]);
    prove_consent(part["release"]);
    const audit::Entry genesis = audit::parse_entry(copy.line(0)),
                       entry = audit::parse_entry(copy.line(verdict));
    std::optional<audit::Entry> intent;
    if (intent_) intent = audit::parse_entry(copy.line(*intent_));
    const policy::Policy policy = policy::parse_policy(last_);
    return verdict::check_signatures(
        part, {copy.checkpoint, genesis, entry, intent ? &*intent : nullptr, policy, last_, trust_text_});
  }
  [[nodiscard]] std::vector<std::string> judge() { return judge_all().policy; }

  const UnixTime then_ = SetClock().time;
  const std::string aud_ = std::string(32, 'c'), mek_id_ = std::string(32, '7'),
                    report_ = std::string(64, '8');
  TempFolder folder_;
  HostLog world_{folder_ / "log"};
  std::optional<audit::Log> log_;
  const std::string first_ = next_policy("7");
  std::string last_ = first_, officers_;
  Json policies_ = Json::array(), listed_ = Json::array(), release_ = nullptr;
  Json trust_ = {{"entry", nullptr}, {"signatures", Json::array()}};
  std::string trust_text_, trust_digest_ = genesis_data().at("trust");
  std::optional<std::uint64_t> intent_, verdict_;  // the release's; the bundle's
};

}  // namespace qpcseal::testing
