// SPDX-License-Identifier: Apache-2.0
// Which files of a home its log vouches for: by name, by digest, by signature.
#include "appliance/site/vouched.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/approval/approval_request.h"
#include "appliance/approval/quorum.h"
#include "appliance/site/archive.h"
#include "tests/base/expect_error.h"
#include "tests/site/logged_home.h"

namespace qpcseal::site {
namespace {

using encoding::Json;
using qpcseal::testing::LoggedHome;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(FileKind, IsKnownByTheName) {
  const std::string digest(64, 'a'), key(8, '0');
  const std::pair<std::string, FileKind> known[] = {
      {"log/entries.jsonl", FileKind::Log},
      {"log/checkpoint", FileKind::Log},
      {"log/quarantine-0123456789abcdef.jsonl", FileKind::Log},
      {"policy.toml", FileKind::Policy},
      {"officers", FileKind::Officers},
      {"collateral.json", FileKind::Collateral},
      {"trust/root.pem", FileKind::Trust},
      {"trust/x", FileKind::Trust},
      {"witness/" + key + ".note", FileKind::Witness},
      {"reports/" + digest + ".report", FileKind::Report},
      {"approvals/" + digest + ".signed", FileKind::Approval},
      {"approvals/" + digest + ".officers", FileKind::Approval},
      {"approvals/" + digest + ".trust", FileKind::Approval},
      {"approvals/" + digest + ".request", FileKind::Approval},
      {"approvals/" + digest + ".plan", FileKind::Approval},
      {"approvals/" + digest + ".rehearsal", FileKind::Approval},
      {"approvals/" + digest + ".reports", FileKind::Approval},
      {"approvals/" + digest + ".genesis", FileKind::Approval},
      {"approvals/" + digest + ".sig", FileKind::Approval}};
  for (const auto& [name, kind] : known) EXPECT_EQ(file_kind(name), kind) << name;
}

TEST(FileKind, IsNoneForAnyOtherName) {
  const std::string digest(64, 'a');
  for (const std::string& name : {std::string(),
                                  std::string("site.toml"),
                                  std::string("pin"),
                                  std::string("lock"),
                                  std::string("wrapped"),
                                  std::string("tokens/token.object"),
                                  std::string("log/snapshot"),
                                  std::string("log/reserve"),
                                  std::string("log/quarantine-.jsonl"),
                                  std::string("log/quarantine-0123456789abcde.jsonl"),
                                  std::string("log/quarantine-0123456789abcdef0.jsonl"),
                                  std::string("log/quarantine-0123456789ABCDEF.jsonl"),
                                  std::string("trust/"),
                                  std::string("trust/.hidden"),
                                  std::string("trust/a/b"),
                                  std::string("trust"),
                                  std::string("trust/../policy.toml"),
                                  std::string("/policy.toml"),
                                  std::string("./policy.toml"),
                                  std::string("policy.toml/"),
                                  std::string("witness/0000000.note"),
                                  std::string("witness/0000000g.note"),
                                  "reports/" + digest,
                                  "reports/" + digest + "0.report",
                                  "reports/x/" + digest + ".report",
                                  "approvals/" + digest + ".toml",
                                  "approvals/" + digest.substr(1) + ".sig",
                                  std::string("before-restore-x/policy.toml")})
    EXPECT_EQ(file_kind(name), std::nullopt) << name;
}

TEST(FileKind, HasAWordForItAndForWhatVouches) {
  EXPECT_EQ(to_string(FileKind::Log), "log");
  EXPECT_EQ(to_string(FileKind::Approval), "approvals");
  EXPECT_EQ(voucher_name(FileKind::Trust), "the first entry");
  EXPECT_EQ(voucher_name(FileKind::Report), "the entries of releases and denials");
}

// A log, and files beside it that a test changes, as an archive or a home would have them.
class VouchedFiles : public ::testing::Test {
 protected:
  LoggedHome site;
  std::map<std::string, std::string> files;

  VouchedFiles() {
    files["policy.toml"] = site.policy_text;
    files["officers"] = site.officers_text;
    files["trust/root.der"] = text_view(LoggedHome::card().root.der());
    files["log/entries.jsonl"] = files["log/checkpoint"] = "verified by who read the log";
  }
  Vouching judge() {
    std::vector<HomeFile> list;
    for (const auto& [name, content] : files) list.push_back({name, content.size(), sha256_hex(content)});
    return vouch(site.copy(), list, [&](const HomeFile& file) { return copy(view(files.at(file.name))); });
  }
  std::string keep(const std::string& text, const std::string& extension) {
    const std::string name = "approvals/" + sha256_hex(text) + extension;
    files[name] = text;
    return name;
  }
  std::vector<std::string> vouched() {
    std::vector<std::string> out;
    for (const HomeFile& file : judge().vouched) out.push_back(file.name);
    return out;
  }
  std::vector<std::string> unvouched() { return judge().unvouched; }
  static Json approval(const std::string& request, const std::string& signature) {
    return {{"nonce", sha256_hex(request + " nonce")},
            {"request_sha256", sha256_hex(request)},
            {"time", 1800000000},
            {"approvers",
             {{{"name", "anna"}, {"fingerprint", "x"}, {"signature_sha256", sha256_hex(signature)}}}}};
  }
};

TEST_F(VouchedFiles, AreAllOfAHomeAsTheLogNamesIt) {
  EXPECT_THAT(vouched(), ElementsAre("log/checkpoint", "log/entries.jsonl", "officers", "policy.toml",
                                     "trust/root.der"));
  EXPECT_THAT(unvouched(), IsEmpty());
  EXPECT_THAT(judge().missing, IsEmpty());
}

TEST_F(VouchedFiles, AreNotThoseOfTheMachine) {
  files["site.toml"] = files["pin"] = files["tokens/x"] = "x";
  EXPECT_THAT(unvouched(), ElementsAre("pin", "site.toml", "tokens/x"));
}

TEST_F(VouchedFiles, LackWhatIsAnotherFile) {
  files["policy.toml"] += "#";
  files["officers"] += "#";
  EXPECT_THAT(unvouched(), ElementsAre("officers", "policy.toml"));
  EXPECT_THAT(judge().missing, ElementsAre("policy.toml", "officers"));
}

TEST_F(VouchedFiles, LackWhatIsGone) {
  files.clear();
  EXPECT_THAT(judge().missing, ElementsAre("log/entries.jsonl", "log/checkpoint", "policy.toml", "officers",
                                           "trust/, as the first entry names it"));
}

TEST_F(VouchedFiles, HaveTheTrustFolderWholeOrNotAtAll) {
  for (const auto& [name, content] : std::map<std::string, std::string>{
           {"trust/more.der", files["trust/root.der"]}, {"trust/more.crl", "no list"}}) {
    files[name] = content;
    EXPECT_THAT(unvouched(), ElementsAre(name, "trust/root.der"));
    EXPECT_THAT(judge().missing, ElementsAre("trust/, as the first entry names it"));
    files.erase(name);
  }
}

TEST_F(VouchedFiles, MayBeTheNextOfAnOpenChange) {
  const std::string next = testing::sample_policy_text("serial = 7", "serial = 8");
  const audit::Txn txn = site.log->intent("policy", {{"digest", sha256_hex(next)}, {"serial", 8}});
  files["policy.toml"] = next;
  EXPECT_THAT(unvouched(), IsEmpty()) << "it was cut short";
  files["officers"] = next;
  EXPECT_THAT(unvouched(), ElementsAre("officers")) << "an open change of another file";
  files["officers"] = site.officers_text;
  site.log->result(txn, "failed", Json::object());
  EXPECT_THAT(unvouched(), ElementsAre("policy.toml"));
}

TEST_F(VouchedFiles, HaveABundleWhereTheLogHasOne) {
  files["collateral.json"] = "bundle";
  EXPECT_THAT(unvouched(), ElementsAre("collateral.json"));
  const audit::Txn txn =
      site.log->intent("trust", {{"digest", sha256_hex("bundle")}, {"serial", 1}, {"crls", Json::array()}});
  site.log->result(txn, "ok", Json::object());
  EXPECT_THAT(unvouched(), IsEmpty());
  files.erase("collateral.json");
  EXPECT_THAT(judge().missing, ElementsAre("collateral.json"));
}

TEST_F(VouchedFiles, HaveQuarantinedLinesUnderTheNameOfTheirEntry) {
  site.log->event("recovery",
                  {{"quarantine", "quarantine-0000000000000001.jsonl"}, {"sha256", sha256_hex("lines")}});
  files["log/quarantine-0000000000000001.jsonl"] = files["log/quarantine-0000000000000002.jsonl"] = "lines";
  EXPECT_THAT(unvouched(), ElementsAre("log/quarantine-0000000000000002.jsonl"));
  files["log/quarantine-0000000000000001.jsonl"] = "other lines";
  EXPECT_THAT(unvouched(), Contains("log/quarantine-0000000000000001.jsonl"));
}

TEST_F(VouchedFiles, HaveReportsThatTheLogJudged) {
  site.log->event("denied", {{"report_sha256", sha256_hex("report")}});
  const auto place = [](const std::string& of) { return "reports/" + sha256_hex(of) + ".report"; };
  files[place("report")] = "report";
  files[place("another")] = "another";
  EXPECT_THAT(unvouched(), ElementsAre(place("another")));
  files[place("report")] = "changed";
  EXPECT_THAT(unvouched(), Contains(place("report")));
  files[place("another")] = "report";
  EXPECT_THAT(unvouched(), Contains(place("another"))) << "under another name";
}

TEST_F(VouchedFiles, HaveApprovalsThatAnEntryNames) {
  site.log->intent("pin-change", {{"token_serial", "7"}, {"approval", approval("request", "signature")}});
  const std::string sig = keep("signature", ".sig"), other = keep("other", ".sig");
  EXPECT_THAT(unvouched(), ElementsAre(other));
  files[sig] = "changed";
  EXPECT_THAT(unvouched(), Contains(sig));
  files.erase(sig);
  files.erase(other);
  const std::string plan = keep("request", ".plan");
  EXPECT_THAT(unvouched(), ElementsAre(plan)) << "a request is no plan";
  keep(site.policy_text, ".signed");
  keep(site.officers_text, ".officers");
  EXPECT_THAT(unvouched(), ElementsAre(plan));
}

TEST_F(VouchedFiles, HaveTheListOfReportsThatARequestNames) {
  const std::string list = sha256_hex("report") + "\n";
  testing::CountingRandom random;
  const std::string request = encode_approval_request(
      approval::make_approval_request(site.copy(), policy::parse_policy(site.policy_text), "release",
                                      {{"reports_sha256", sha256_hex(list)}}, 1800000000, 3600, random));
  const std::string name = keep(list, ".reports"), by = keep(request, ".request");
  EXPECT_THAT(unvouched(), ::testing::UnorderedElementsAre(name, by)) << "no entry names the request";
  site.log->intent("pin-change", {{"token_serial", "7"}, {"approval", approval(request, "signature")}});
  EXPECT_THAT(unvouched(), IsEmpty());
  const std::string other = keep("another list\n", ".reports");
  EXPECT_THAT(unvouched(), ElementsAre(other));
}

TEST_F(VouchedFiles, HaveTheTrustFolderByItsOwnDigest) {
  const trust::Trust trust = trust::read_trust(site.home.trust());
  const std::string name = "approvals/" + to_hex(trust.digest) + ".trust";
  files[name] = encode_trust(trust);
  EXPECT_THAT(unvouched(), IsEmpty());
  trust::Trust other = trust;
  other.roots[0].name = "other.der";
  files[name] = encode_trust(other);
  EXPECT_THAT(unvouched(), ElementsAre(name));
  files[name] = "{}";
  EXPECT_ERROR(Malformed, name + ": ", judge());
}

TEST_F(VouchedFiles, HaveSignaturesOfTheFirstPolicyByItsOfficers) {
  const std::string by_anna = keep(site.anna.sign(site.policy_text, "policy@qpcseal"), ".sig");
  EXPECT_THAT(unvouched(), ElementsAre(by_anna)) << "policy and officers were not kept";
  keep(site.policy_text, ".signed");
  keep(site.officers_text, ".officers");
  EXPECT_THAT(unvouched(), IsEmpty());
  const std::string stranger =
                        keep(testing::OfficerKey("carl").sign(site.policy_text, "policy@qpcseal"), ".sig"),
                    other = keep(site.bela.sign("another policy", "policy@qpcseal"), ".sig");
  EXPECT_THAT(unvouched(), ::testing::UnorderedElementsAre(stranger, other));
}

TEST_F(VouchedFiles, HaveCheckpointsOfTrustedWitnesses) {
  testing::TestWitness trusted, stranger("witness.test/w2");
  site.log->event("witness-key", {{"vkey", trusted.vkey()}, {"trusted", true}});
  const std::string note = site.log->checkpoint();
  const auto place = [](const std::string& id) { return "witness/" + id + ".note"; };
  files[place(trusted.id())] = trusted.cosign(note, 1800000000);
  files[place(stranger.id())] = stranger.cosign(note, 1800000000);
  EXPECT_THAT(unvouched(), ElementsAre(place(stranger.id())));
  files[place(trusted.id())] = stranger.cosign(note, 1800000000);
  EXPECT_ERROR(LogDamaged, place(trusted.id()) + ": ", judge());
  files[place(trusted.id())] = trusted.cosign(
      tlog::sign_checkpoint({9, {}}, site.host.signer.verifier(testing::kOrigin), site.host.signer),
      1800000000);
  EXPECT_ERROR(LogDamaged, "rolled back", judge());
}

TEST(VouchedDemonstration, NeedsNoOfficers) {
  const LoggedHome site(false);
  const Vouching judged = vouch(site.copy(), {}, [](const HomeFile&) { return Bytes(); });
  EXPECT_THAT(judged.missing, Not(Contains("officers")));
  EXPECT_THAT(judged.missing, Contains("policy.toml"));
}

}  // namespace
}  // namespace qpcseal::site
