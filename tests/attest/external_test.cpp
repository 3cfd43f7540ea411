// SPDX-License-Identifier: Apache-2.0
// Scheme external: what a verifier may answer, and how its run may end.
#include "attest/external.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/digest.h"
#include "base/error.h"
#include "encoding/json.h"
#include "tests/attest/test_certificates.h"
#include "tests/base/temp_folder.h"
#include "tests/confine/sandbox_here.h"

namespace qpcseal::attest {
namespace {

using encoding::Json;
using qpcseal::testing::make_ec_key;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kRoot(64, 'a'), kNonce(64, 'b');

std::string made_spki() {
  unsigned char* der = nullptr;
  const KeyPtr key = make_ec_key("P-256");
  const int size = i2d_PUBKEY(key.get(), &der);
  std::string out = to_base64(ByteView(der, static_cast<std::size_t>(size)));
  OPENSSL_free(der);
  return out;
}

Json good_answer() {
  return {{"format", "qpcseal/external/1"},
          {"verifier", {{"name", "sdk"}, {"version", "1.18"}}},
          {"chain", {std::string(64, 'c'), kRoot}},
          {"nonce", kNonce},
          {"ueid", "0102030405060708"},
          {"session_key", made_spki()},
          {"dbgstat", 3},
          {"measurements", {{{"name", "firmware"}, {"digest", std::string(64, 'd')}, {"svn", 7}}}}};
}

std::string ids(const Json& answer) {
  ExternalVerifier verifier;
  Findings findings;
  const auto claims = parse_external_answer(view(answer.dump()), verifier, findings);
  EXPECT_EQ(claims.has_value(), findings.empty());
  return finding_ids(findings);
}

TEST(ExternalAnswer, GivesTheClaimsAndWhoVerified) {
  Json answer = good_answer();
  answer.update({{"oemid", 5},
                 {"hwmodel", "0a0b"},
                 {"hwversion", "2"},
                 {"oemboot", true},
                 {"lifecycle", "secured"},
                 {"exp", 100},
                 {"iat", 50},
                 {"bootseed", std::string(64, 'e')}});
  answer["submods"].push_back({{"name", "nsp"}, {"dbgstat", 4}, {"measurements", answer["measurements"]}});
  ExternalVerifier verifier;
  Findings findings;
  const auto claims = parse_external_answer(view(answer.dump()), verifier, findings);
  ASSERT_TRUE(claims) << findings.front().observed;
  EXPECT_EQ(verifier.name + verifier.version, "sdk1.18");
  EXPECT_EQ(verifier.chain.back(), kRoot);
  EXPECT_EQ(to_hex(claims->nonce), kNonce);
  EXPECT_EQ(to_hex(claims->ueid), "0102030405060708");
  EXPECT_EQ(claims->session_key->type, SessionKeyType::P256);
  EXPECT_EQ(claims->dbgstat, 3U);
  EXPECT_EQ(claims->lifecycle, 2U);
  EXPECT_EQ(claims->oemboot, true);
  EXPECT_EQ(claims->oemid, 5U);
  EXPECT_EQ(to_hex(claims->hwmodel.value()), "0a0b");
  EXPECT_EQ(claims->hwversion->text, "2");
  EXPECT_EQ(claims->exp, 100);
  EXPECT_EQ(claims->measurements.at(0).svn, 7U);
  EXPECT_EQ(claims->submods.at(0).dbgstat, 4U);
}

TEST(ExternalAnswer, WantsEachMember) {
  for (const char* name :
       {"format", "verifier", "chain", "nonce", "ueid", "session_key", "dbgstat", "measurements"}) {
    Json answer = good_answer();
    answer.erase(name);
    EXPECT_EQ(ids(answer), "ATT-EXTERNAL-ANSWER") << name;
  }
}

TEST(ExternalAnswer, RefusesUnknownMembersAtEachDepth) {
  Json answer = good_answer();
  answer["more"] = 1;
  EXPECT_EQ(ids(answer), "ATT-EXTERNAL-ANSWER");
  answer = good_answer();
  answer["verifier"]["more"] = 1;
  EXPECT_EQ(ids(answer), "ATT-EXTERNAL-ANSWER");
  answer = good_answer();
  answer["measurements"][0]["more"] = 1;
  EXPECT_EQ(ids(answer), "ATT-EXTERNAL-ANSWER");
}

using Values = std::map<std::string, Json>;  // by member: a list of bad ones

const Values kBadMake{{"dbgstat", {-1, 5, "3", 3.0, nullptr}},
                      {"oemid", {-1, "1", nullptr}},
                      {"hwmodel", {"", "0", "XY", "AB", std::string(66, 'a'), 1}},
                      {"hwversion", {"", "a\nb", "\u202e", std::string(129, 'x'), 1}},
                      {"measurements", {Json::array(), Json::object(), Json::array({1}), "none", nullptr}}};
const Values kBadMeasurement{
    {"name", {"", 1, "\u001b[31m", std::string(129, 'x')}},
    {"version", {"", 1, "\u200b", std::string(129, 'x')}},
    {"digest",
     {"", 1, std::string(62, 'a'), std::string(66, 'a'), std::string(98, 'a'), std::string(64, 'A')}},
    {"svn", {-1, "7", 7.5, std::uint64_t{1} << 63}},
    {"more", Json::array({1})}};

// `place` is where the members stand in the answer.
void expect_refused(const Json& good, const std::string& place, const Values& bad) {
  ASSERT_EQ(ids(good), "");
  for (const auto& [name, values] : bad)
    for (const Json& value : values) {
      Json answer = good;
      answer.at(Json::json_pointer(place))[name] = value;
      EXPECT_EQ(ids(answer), "ATT-EXTERNAL-ANSWER") << place << " " << name << " " << value;
    }
}

TEST(ExternalAnswer, RefusesEachBadMember) {
  const std::string digest(64, 'c');
  expect_refused(
      good_answer(), "",
      {{"format", {"", 1, "qpcseal/external/2"}},
       {"verifier", {"me", Json::object(), {{"name", "a"}}, {{"version", "1"}}, nullptr}},
       {"chain", {Json::array(), "ab", {digest, "ab"}, {1}, Json(7, digest), {std::string(64, 'C')}}},
       {"nonce", {"", std::string(62, 'b'), std::string(66, 'b'), std::string(64, 'B'), 7}},
       {"ueid", {"", std::string(12, '1'), std::string(68, '1'), "xy" + std::string(32, '1'), 5}},
       {"session_key", {"", "AAAA", "!", std::string(4000, 'A'), 1, Json::object()}},
       {"oemboot", {1, "true", nullptr}},
       {"lifecycle", {"", "locked", "Secured", 2}},
       {"exp", {-1, "later", 1.5, std::uint64_t{1} << 63}},
       {"iat", {-1, "x", 1.5}},
       {"bootseed", {"", "ab", std::string(62, 'a'), std::string(130, 'a'), 1}},
       {"submods", {Json::object(), "none", {1}, nullptr}}});
  expect_refused(good_answer(), "", kBadMake);
  expect_refused(good_answer(), "/verifier", {{"name", {"", 1, "\u001b[31m"}}, {"version", {"", 1}}});
  expect_refused(good_answer(), "/measurements/0", kBadMeasurement);
}

TEST(ExternalAnswer, RefusesEachBadMemberOfASubmodule) {
  Json good = good_answer();
  const Json one{{"name", "soc"}, {"dbgstat", 3}, {"measurements", good["measurements"]}};
  good["submods"] = Json::array({one});
  expect_refused(good, "/submods/0", kBadMake);
  expect_refused(good, "/submods/0/measurements/0", kBadMeasurement);
  expect_refused(good, "/submods/0",
                 {{"name", {"", 1, "\u001b[31m", std::string(129, 'x')}},
                  {"submods", Json::array({Json::array({one})})},
                  {"nonce", Json::array({kNonce})}});
  for (const char* name : {"name", "dbgstat", "measurements"}) {
    Json answer = good;
    answer["submods"][0].erase(name);
    EXPECT_EQ(ids(answer), "ATT-EXTERNAL-ANSWER") << name;
  }
}

TEST(ExternalAnswer, BoundsItsListsAndTakesNoNameTwice) {
  Json good = good_answer();
  const auto with = [&](std::size_t count) {
    Json answer = good;
    for (const char* list : {"measurements", "submods"}) answer[list] = Json::array();
    for (std::size_t i = 0; i < count; ++i)
      answer["measurements"].push_back({{"name", std::to_string(i)}, {"digest", std::string(64, 'd')}});
    return answer;
  };
  EXPECT_EQ(ids(with(64)), "");
  EXPECT_EQ(ids(with(65)), "ATT-EXTERNAL-ANSWER");
  const auto with_submods = [&](std::size_t count, bool same) {
    Json answer = good;
    for (std::size_t i = 0; i < count; ++i)
      answer["submods"].push_back({{"name", same ? "one" : std::to_string(i)},
                                   {"dbgstat", 3},
                                   {"measurements", good["measurements"]}});
    return answer;
  };
  EXPECT_EQ(ids(with_submods(64, false)), "");
  EXPECT_EQ(ids(with_submods(65, false)), "ATT-EXTERNAL-ANSWER");
  EXPECT_EQ(ids(with_submods(2, true)), "ATT-EXTERNAL-ANSWER");
  good["measurements"].push_back(good["measurements"][0]);
  EXPECT_EQ(ids(good), "ATT-EXTERNAL-ANSWER");
}

TEST(ExternalAnswer, RefusesAKeyOffItsCurve) {
  Json answer = good_answer();
  Bytes der = from_base64(answer["session_key"].get<std::string>());
  EXPECT_EQ(ids(answer), "");
  der.back() ^= 1U;
  answer["session_key"] = to_base64(der);
  EXPECT_EQ(ids(answer), "ATT-EXTERNAL-ANSWER");
}

TEST(ExternalAnswer, RefusesTwoObjectsAndMoreThan64KiB) {
  const std::string text = good_answer().dump();
  for (const std::string& bad :
       {text + text, text.substr(1), std::string(), "[" + text + "]",
        text.substr(0, text.size() - 1) + ",\"dbgstat\":3}", text + std::string(65536, ' ')}) {
    ExternalVerifier verifier;
    Findings findings;
    EXPECT_FALSE(parse_external_answer(view(bad), verifier, findings)) << bad.substr(0, 40);
    EXPECT_EQ(finding_ids(findings), "ATT-EXTERNAL-ANSWER");
  }
}

// A verifier of a few lines, pinned.
class ExternalRun : public qpcseal::testing::InSandbox {
 protected:
  Evidence verify(const std::string& body, std::vector<ExpectedChallenge> found,
                  const std::string& report = "report") const {
    const auto path = folder_ / "verifier";
    const std::string text = "#!/usr/bin/python3\nimport sys, time, json\n" + body + "\n";
    write_file(path, view(text), Existing::Replace);
    const auto scheme = make_external_scheme({"test", {path.string(), sha256_hex(text)}, {}});
    VerifyContext context;
    context.now = 60;
    Sha256Digest root{};
    root.fill(0xaa);
    context.anchors.allowed = {root};
    context.find_challenges = [&](ByteView) { return found; };
    return scheme->verify(view(report), context);
  }
  [[nodiscard]] Evidence verify(const std::string& body) const { return verify(body, {expected()}); }
  static ExpectedChallenge expected() {
    return {from_hex(kNonce), Bytes(16, 1), from_hex("0102030405060708"), 1000};
  }
  static std::string prints(const Json& answer) { return "print('''" + answer.dump() + "''')"; }

  qpcseal::testing::TempFolder folder_;
};

TEST_F(ExternalRun, TakesAGoodAnswer) {
  const Evidence evidence = verify(prints(good_answer()));
  ASSERT_TRUE(evidence.claims) << finding_ids(evidence.findings);
  EXPECT_EQ(evidence.claims->aud, Bytes(16, 1));
  EXPECT_EQ(to_hex(*evidence.root), kRoot);
  EXPECT_FALSE(evidence.crls_current);
  EXPECT_EQ(evidence.verifier->name, "sdk");
}

TEST_F(ExternalRun, GetsReportAndChallenge) {
  const Evidence evidence = verify("sys.exit(' '.join(sys.argv[1:]) + ' ' + sys.stdin.read())");
  EXPECT_EQ(finding_ids(evidence.findings), "ATT-EXTERNAL-RUN");
  EXPECT_THAT(evidence.findings.at(0).observed,
              HasSubstr("--nonce " + kNonce + " --expires 1000 --now 60 --ueid 0102030405060708 report"));
}

TEST_F(ExternalRun, IsAFindingWhereItFailsOrSaysTooMuch) {
  EXPECT_EQ(finding_ids(verify("sys.exit(1)").findings), "ATT-EXTERNAL-RUN");
  EXPECT_EQ(finding_ids(verify(prints(good_answer()) + "\nsys.exit(1)").findings), "ATT-EXTERNAL-RUN");
  EXPECT_EQ(finding_ids(verify("print('x' * 65537)").findings), "ATT-EXTERNAL-RUN");
  EXPECT_EQ(finding_ids(verify("").findings), "ATT-EXTERNAL-ANSWER");
}

TEST_F(ExternalRun, IsAFindingThatJsonTakesWhateverBytesItSays) {
  const Evidence evidence =
      verify("sys.stderr.buffer.write(b'no \\xff\\xfe' + 'é'.encode() * 150)\nsys.exit(1)");
  ASSERT_EQ(finding_ids(evidence.findings), "ATT-EXTERNAL-RUN");
  EXPECT_NO_THROW(static_cast<void>(Json(evidence.findings.at(0).observed).dump()));
  Json answer = good_answer();
  answer[std::string(39, 'x') + "\xc3\xa9"] = 1;
  const Evidence unknown = verify(prints(answer));
  ASSERT_EQ(finding_ids(unknown.findings), "ATT-EXTERNAL-ANSWER");
  EXPECT_NO_THROW(static_cast<void>(Json(unknown.findings.at(0).observed).dump()));
}

TEST_F(ExternalRun, RunsNothingWithoutOneChallenge) {
  const std::string mark = "raise SystemExit(9)";
  EXPECT_EQ(finding_ids(verify(mark, {}).findings), "ATT-EXTERNAL-CHALLENGE");
  EXPECT_EQ(finding_ids(verify(mark, {expected(), expected()}).findings), "ATT-EXTERNAL-CHALLENGE");
  EXPECT_EQ(finding_ids(verify(mark, {expected()}, std::string(kMaxReport, 'x')).findings),
            "ATT-EXTERNAL-RUN");
  EXPECT_EQ(finding_ids(verify(mark, {expected()}, std::string(kMaxReport + 1, 'x')).findings),
            "ATT-EXTERNAL-CHALLENGE");
}

TEST_F(ExternalRun, HoldsNonceRootAndExpiryAgainstTheChallenge) {
  Json answer = good_answer();
  answer["nonce"] = std::string(64, 'c');
  EXPECT_EQ(finding_ids(verify(prints(answer)).findings), "ATT-EXTERNAL-NONCE");
  answer = good_answer();
  answer["chain"] = {kRoot, std::string(64, 'c')};
  EXPECT_EQ(finding_ids(verify(prints(answer)).findings), "ATT-EXTERNAL-ROOT");
  answer = good_answer();
  answer["exp"] = 60;
  EXPECT_EQ(finding_ids(verify(prints(answer)).findings), "ATT-EXPIRED");
}

TEST_F(ExternalRun, LoadsOnlyWhatIsPinned) {
  const auto path = folder_ / "other";
  write_file(path, view("#!/bin/sh\n"), Existing::Refuse);
  EXPECT_THROW(make_external_scheme({"test", {path.string(), std::string(64, '0')}, {}}), Error);
}

TEST(ExternalAnswer, RefusesLabelsWithCharactersThatNobodySees) {
  for (const char* bad : {"a\xc2\x85z", "a\xc2\x9bz", "a\xe2\x80\xaez", "a\xe2\x80\x8bz", "a\x7fz"}) {
    Json answer = good_answer();
    answer["verifier"]["name"] = bad;
    ExternalVerifier verifier;
    Findings findings;
    EXPECT_FALSE(parse_external_answer(view(answer.dump()), verifier, findings)) << answer.dump();
    EXPECT_EQ(finding_ids(findings), "ATT-EXTERNAL-ANSWER");
  }
}

}  // namespace
}  // namespace qpcseal::attest
