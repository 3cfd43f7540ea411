// SPDX-License-Identifier: Apache-2.0
// Each digest of a log counts for the kind of file that its entry names, and for no other.
#include "appliance/site/named_digests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/audit/host_log.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::site {
namespace {

using encoding::Json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::string digest(const std::string& of) { return sha256_hex(of); }

// A log that holds what each test appends.
class NamedDigestsOf : public ::testing::Test {
 protected:
  testing::TempFolder folder;
  testing::HostLog host{folder / "log"};
  Json genesis = testing::genesis_data();
  std::optional<audit::Log> log;

  void begin() { log.emplace(audit::Log::create(host.settings(), host.signer, testing::kOrigin, genesis)); }
  NamedDigests collect() {
    if (!log) begin();
    return collect_named_digests(audit::read_log(host.dir, host.signer.verifier(testing::kOrigin)));
  }
};

Json person(const std::string& name) {
  return {{"name", name}, {"fingerprint", "SHA256:x"}, {"signature_sha256", digest("signature of " + name)}};
}

Json approval_by(const std::string& name) {
  return {{"nonce", digest("nonce of " + name)},
          {"request_sha256", digest("request of " + name)},
          {"time", 1800000000},
          {"approvers", {person(name)}}};
}

TEST_F(NamedDigestsOf, AGenesisWithoutOfficers) {
  const NamedDigests named = collect();
  EXPECT_THAT(named.texts, ElementsAre(std::string(64, 'b')));
  EXPECT_THAT(named.trust, ElementsAre(std::string(64, 'a')));
  EXPECT_THAT(named.officers, IsEmpty());
  for (const auto* others :
       {&named.requests, &named.plans, &named.rehearsals, &named.geneses, &named.signatures, &named.reports})
    EXPECT_THAT(*others, IsEmpty());
  EXPECT_THAT(named.quarantined, IsEmpty());
}

TEST_F(NamedDigestsOf, OfficersPoliciesAndBundlesFromTheirIntentsOn) {
  genesis["officers"] = digest("officers");
  begin();
  log->intent("officers", {{"digest", digest("next officers")}});
  const audit::Txn policy = log->intent("policy", {{"digest", digest("next policy")}, {"serial", 2}});
  log->result(policy, "failed", Json::object());
  log->intent("trust", {{"digest", digest("bundle")}, {"serial", 1}, {"crls", Json::array()}});
  const NamedDigests named = collect();
  EXPECT_THAT(named.officers, UnorderedElementsAre(digest("officers"), digest("next officers")));
  EXPECT_THAT(named.texts,
              UnorderedElementsAre(std::string(64, 'b'), digest("next policy"), digest("bundle")));
  EXPECT_THAT(named.trust, ElementsAre(std::string(64, 'a'))) << "a bundle is no trust folder";
}

TEST_F(NamedDigestsOf, RequestsAndSignaturesOfWhoApproved) {
  genesis["officers"] = digest("officers");
  begin();
  log->event("genesis-accepted",
             {{"text_sha256", digest("genesis")}, {"approvers", {person("anna"), person("bela")}}});
  log->intent("pin-change", {{"token_serial", "7"}, {"approval", approval_by("carl")}});
  const NamedDigests named = collect();
  EXPECT_THAT(named.geneses, ElementsAre(digest("genesis")));
  EXPECT_THAT(named.requests, ElementsAre(digest("request of carl")));
  EXPECT_THAT(named.signatures, UnorderedElementsAre(digest("signature of anna"), digest("signature of bela"),
                                                     digest("signature of carl")));
}

TEST_F(NamedDigestsOf, RequestsThatWereRejected) {
  begin();
  log->event("rejection", {{"operation", "release"},
                           {"request_sha256", digest("request")},
                           {"nonce", digest("nonce")},
                           {"rejecters", {person("dora")}}});
  log->event("rejection", {{"operation", "ceremony"},
                           {"request_sha256", digest("plan")},
                           {"nonce", digest("another nonce")},
                           {"rejecters", Json::array()}});
  const NamedDigests named = collect();
  EXPECT_THAT(named.requests, ElementsAre(digest("request")));
  EXPECT_THAT(named.plans, ElementsAre(digest("plan"))) << "a ceremony's request is its plan";
  EXPECT_THAT(named.signatures, ElementsAre(digest("signature of dora")));
}

TEST_F(NamedDigestsOf, LinesThatWentToQuarantine) {
  begin();
  log->event("recovery", {{"quarantine", "quarantine-0000000000000001.jsonl"}, {"sha256", digest("lines")}});
  EXPECT_THAT(collect().quarantined,
              ElementsAre(::testing::Pair("quarantine-0000000000000001.jsonl", digest("lines"))));
}

TEST(NamedDigests, AreFoundByTheExtensionOfTheFile) {
  NamedDigests named;
  named.texts = {"t"};
  named.officers = {"o"};
  named.requests = {"r"};
  named.plans = {"p"};
  named.rehearsals = {"h"};
  named.geneses = {"g"};
  named.trust = named.signatures = named.reports = {"x"};
  EXPECT_THAT(named.kept_as(".signed"), ElementsAre("t"));
  EXPECT_THAT(named.kept_as(".officers"), ElementsAre("o"));
  EXPECT_THAT(named.kept_as(".request"), ElementsAre("r"));
  EXPECT_THAT(named.kept_as(".plan"), ElementsAre("p"));
  EXPECT_THAT(named.kept_as(".rehearsal"), ElementsAre("h"));
  EXPECT_THAT(named.kept_as(".genesis"), ElementsAre("g"));
  for (const char* other : {".sig", ".trust", ".reports", "", ".SIGNED", "signed"})
    EXPECT_THAT(named.kept_as(other), IsEmpty()) << other;
}

}  // namespace
}  // namespace qpcseal::site
