// SPDX-License-Identifier: Apache-2.0
// Repairs that officers sign: the facts after a change, what officers see of it, and who must agree.
#include "appliance/site/repair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/approval/approval_request.h"
#include "appliance/site/archive.h"
#include "appliance/site/repair_acts.h"
#include "tests/base/expect_error.h"
#include "tests/site/logged_home.h"

namespace qpcseal::site {
namespace {

namespace fs = std::filesystem;
using encoding::Json;
using qpcseal::testing::LoggedHome;
using qpcseal::testing::read_text;
using qpcseal::testing::write_text;

audit::SiteFacts old_facts() {
  audit::SiteFacts facts;
  facts.module_sha256 = std::string(64, 'e');
  facts.module_arguments = "old";
  facts.accept = {"local"};
  return facts;
}

TEST(ChangedFacts, AreTheOldOnesButForWhatIsNamed) {
  const Home home{"/srv/seal"};
  EXPECT_EQ(changed(old_facts(), {}, home), old_facts());
  audit::SiteFacts expected = old_facts();
  expected.module_arguments = "configdir='{home}/db'";
  expected.accept = {};
  expected.anchor = true;
  expected.clock_days = 90;
  SiteChange change;
  change.module_arguments = "configdir='/srv/seal/db'";
  change.accept.emplace();
  change.anchor = true;
  change.clock_days = 90;
  EXPECT_EQ(changed(old_facts(), change, home), expected);
}

TEST(ChangedFacts, HaveTheDigestOfTheModulesFile) {
  const testing::TempFolder folder;
  write_text(folder / "module.so", "code");
  SiteChange change;
  change.module = folder / "module.so";
  EXPECT_EQ(changed(old_facts(), change, Home{"/srv"}).module_sha256, sha256_hex("code"));
  change.module = folder / "none.so";
  EXPECT_ERROR(Io, "none.so", changed(old_facts(), change, Home{"/srv"}));
}

TEST(ChangedFacts, AreOnesThatATokenCanHave) {
  SiteChange change;
  change.clock_days = 91;
  EXPECT_ERROR(Usage, "--clock-days: 1 to 90", changed(old_facts(), change, Home{"/srv"}));
  change.clock_days = 90;
  change.accept = std::vector<std::string>{"nothing"};
  EXPECT_ERROR(Usage, "--accept nothing", changed(old_facts(), change, Home{"/srv"}));
}

TEST(ChangedFacts, NameAnImageByItsRootHashOrNone) {
  SiteChange change;
  change.image = std::string(64, 'a');
  const audit::SiteFacts named = changed(old_facts(), change, Home{"/srv"});
  EXPECT_EQ(named.image, std::string(64, 'a'));
  EXPECT_EQ(changed(named, {}, Home{"/srv"}), named);
  change.image = "none";
  EXPECT_EQ(changed(named, change, Home{"/srv"}), old_facts());
  for (const std::string& bad :
       {std::string(63, 'a'), std::string(64, 'A'), std::string("any"), std::string()}) {
    change.image = bad;
    EXPECT_ERROR(Usage, "no root hash of an image", changed(named, change, Home{"/srv"}));
  }
}

TEST(SiteChangeParameters, AreTheMembersThatDiffer) {
  EXPECT_EQ(request_parameters(old_facts(), old_facts()), Json::object());
  audit::SiteFacts now = old_facts();
  now.module_sha256 = std::string(64, 'f');
  EXPECT_EQ(request_parameters(old_facts(), now), Json({{"module_sha256", std::string(64, 'f')}}));
  now = old_facts();
  now.module_arguments = "";
  EXPECT_EQ(request_parameters(old_facts(), now), Json({{"module_arguments", ""}}));
  now = old_facts();
  now.accept = {"local", "not-copyable"};
  EXPECT_EQ(request_parameters(old_facts(), now), Json({{"accept", "local, not-copyable"}}));
  now = old_facts();
  now.anchor = true;
  EXPECT_EQ(request_parameters(old_facts(), now), Json({{"anchor", "true"}}));
  EXPECT_EQ(request_parameters(now, old_facts()), Json({{"anchor", "false"}}));
  now = old_facts();
  now.clock_days = 8;
  EXPECT_EQ(request_parameters(old_facts(), now), Json({{"clock_days", 8}}));
  now = old_facts();
  now.image = std::string(64, 'a');
  EXPECT_EQ(request_parameters(old_facts(), now), Json({{"image", std::string(64, 'a')}}));
  EXPECT_EQ(request_parameters(now, old_facts()), Json({{"image", "none"}}));
}

TEST(AnchorParameters, NameTheAnchorAndTheLog) {
  EXPECT_EQ(anchor_parameters("none", {7, sha256(view("root"))}),
            Json({{"anchor", "none"}, {"log_size", 7}, {"log_root", sha256_hex("root")}}));
}

// The officers of a LoggedHome, who are asked to agree to a repair.
class AgreedRepair : public ::testing::Test {
 protected:
  LoggedHome site;
  testing::CountingRandom random;
  Json parameters = {{"clock_days", 8}};
  approval::ApprovalFiles files;

  std::string request_for(const std::string& operation) {
    const std::string text = encode_approval_request(
        approval::make_approval_request(site.copy(), policy::parse_policy(site.policy_text), operation,
                                        parameters, site.host.clock.time, 3600, random));
    files.requests = {put("request", text)};
    return text;
  }
  fs::path put(const std::string& name, const std::string& text) const {
    write_text(site.folder / name, text);
    return site.folder / name;
  }
  void sign(const testing::OfficerKey& officer, const std::string& text) {
    files.signatures.push_back(put(officer.name() + ".sig", officer.sign(text)));
  }
  Json approve(const std::string& operation, bool yes = false) {
    return approve_repair(site.home, site.copy(), files, yes, site.host.clock.time, operation, parameters);
  }
};

TEST_F(AgreedRepair, WaitsForTheSignedGenesis) {
  EXPECT_ERROR(ApprovalsMissing, "the officers have not signed the genesis yet", approve("site-change"));
}

TEST_F(AgreedRepair, NeedsAsManyOfficersAsAnyOperation) {
  site.accept_genesis();
  EXPECT_ERROR(ApprovalsMissing, "'site-change' needs the approval of 2 officers, and no request",
               approve("site-change", true));
  const std::string text = request_for("site-change");
  sign(site.anna, text);
  EXPECT_ERROR(ApprovalsMissing, "what counts is 1 (anna)", approve("site-change"));
  sign(site.bela, text);
  const Json record = approve("site-change");
  EXPECT_EQ(record.at("request_sha256"), sha256_hex(text));
  EXPECT_EQ(record.at("approvers").size(), 2U);
  EXPECT_EQ(archive_get(site.home, sha256_hex(text), ".request"), text);
  EXPECT_EQ(kept_signatures(site.home, record.at("approvers")).size(), 2U) << "what they signed is kept";
}

TEST_F(AgreedRepair, IsForTheParametersThatOfficersSaw) {
  site.accept_genesis();
  const std::string text = request_for("site-change");
  sign(site.anna, text);
  sign(site.bela, text);
  parameters["clock_days"] = 9;
  EXPECT_ERROR(ApprovalsMissing, "parameter 'clock_days' is 8 in the request, 9 in the act",
               approve("site-change"));
}

TEST_F(AgreedRepair, IsRefusedByOneRejection) {
  site.accept_genesis();
  const std::string text = request_for("site-change");
  sign(site.anna, text);
  sign(site.bela, approval::rejection_text(text));
  EXPECT_ERROR(ApprovalsMissing, "'site-change' was rejected by bela", approve("site-change"));
  EXPECT_EQ(archive_get(site.home, sha256_hex(text), ".request"), text) << "the rejected request is kept";
}

TEST_F(AgreedRepair, RestsOnTheFilesThatTheLogNames) {
  site.accept_genesis();
  const std::string text = request_for("site-change");
  sign(site.anna, text);
  sign(site.bela, text);
  write_text(site.home.policy(), site.policy_text + "#\n");
  EXPECT_ERROR(Io, "was not kept", approve("site-change"));
  archive_put(site.home, site.policy_text, ".signed");
  EXPECT_NO_THROW(approve("site-change")) << "the home kept the policy that the log names";
  write_text(site.home.approvals() / (sha256_hex(site.policy_text) + ".signed"), "forged");
  EXPECT_ERROR(Denied, "is not the policy in the log", approve("site-change"));
  write_text(site.home.policy(), site.policy_text);
  write_text(site.home.officers(), site.anna.line());
  EXPECT_ERROR(Denied, "is not the officers file in the log", approve("site-change"));
}

TEST(AloneRepair, NeedsAYes) {
  const LoggedHome site(false);
  const auto approve = [&](bool yes) {
    return approve_repair(site.home, site.copy(), {}, yes, site.host.clock.time, "anchor-accept", {});
  };
  EXPECT_ERROR(Usage, "'anchor-accept' needs officers, and this demonstration has none", approve(false));
  EXPECT_EQ(approve(true), nullptr);
}

TEST(AgreedSiteChange, ChangesSomething) {
  const LoggedHome site(false);
  Repair repair;
  repair.yes = true;
  repair.site.emplace();
  repair.site->clock_days = audit::kClockDays;
  EXPECT_ERROR(Usage, "nothing changes", agree_to_site(site.home, {}, repair, site.host.clock.time));
  repair.site->clock_days = 8;
  const AgreedSite agreed = agree_to_site(site.home, {}, repair, site.host.clock.time);
  EXPECT_EQ(agreed.before, testing::site_facts());
  EXPECT_EQ(agreed.now.clock_days, 8U);
  EXPECT_EQ(agreed.approval, nullptr);
  repair.yes = false;
  EXPECT_ERROR(Usage, "'site-change' needs officers",
               agree_to_site(site.home, {}, repair, site.host.clock.time));
}

TEST_F(AgreedRepair, TakesNoTimeBeforeTheLogsLast) {
  site.accept_genesis();
  parameters = {{"clock_days", 8}};
  const std::string text = request_for("site-change");
  sign(site.anna, text);
  sign(site.bela, text);
  Repair repair;
  repair.site.emplace();
  repair.site->clock_days = 8;
  EXPECT_EQ(agree_to_site(site.home, files, repair, site.host.clock.time - 86400).approval.at("time"),
            site.host.clock.time);
  EXPECT_ERROR(ApprovalsMissing, "the request expired",
               agree_to_site(site.home, files, repair, site.host.clock.time + 3600));
}

// A LoggedHome with a site.toml, whose module is the one in the log.
class MovedModule : public ::testing::Test {
 protected:
  testing::TempFolder folder;
  Home home{folder.path()};
  testing::HostLog host{home.log()};
  testing::CountingRandom random;
  Environment environment{home, host.clock, random, std::nullopt};

  MovedModule() {
    for (const char* name : {"module.so", "same.so"}) write_text(folder / name, "code");
    write_text(folder / "other.so", "other code");
    Json genesis = testing::genesis_data();
    audit::SiteFacts facts;
    facts.module_sha256 = sha256_hex("code");
    genesis["site"] = audit::as_json(facts);
    static_cast<void>(audit::Log::create(host.settings(), host.signer, testing::kOrigin, genesis));
    const Site site{folder / "module.so", "label", "", false, "tty", {}};
    write_file(home.site(), view(site.text(home)), Existing::Replace, 0600);
  }
  [[nodiscard]] bool moves(const SiteChange& change) const { return moves_module_only(environment, change); }
  [[nodiscard]] std::string module() const { return Site::read(home.site()).module; }
  [[nodiscard]] SiteChange to(const char* name) const {
    SiteChange change;
    change.module = folder / name;
    return change;
  }
};

TEST_F(MovedModule, IsNamedAnewWhereItIsTheSameFile) {
  EXPECT_TRUE(moves(to("same.so")));
  EXPECT_EQ(module(), folder / "same.so");
  EXPECT_EQ(fs::status(home.site()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(MovedModule, IsNoMoveWhereFactsChangeOrNothingDoes) {
  EXPECT_FALSE(moves({})) << "no module";
  EXPECT_FALSE(moves(to("module.so"))) << "the path in force";
  EXPECT_FALSE(moves(to("other.so"))) << "other code";
  SiteChange more = to("same.so");
  more.clock_days = 8;
  EXPECT_FALSE(moves(more)) << "another fact";
  EXPECT_EQ(module(), folder / "module.so");
}

TEST_F(MovedModule, NeedsAHomeThatNobodyElseChanges) {
  fs::permissions(home.site(), fs::perms::others_write, fs::perm_options::add);
  EXPECT_ERROR(Denied, "others could change what decides here", moves(to("same.so")));
  EXPECT_EQ(module(), folder / "module.so");
}

}  // namespace
}  // namespace qpcseal::site
