// SPDX-License-Identifier: Apache-2.0
#include "tests/release/judged.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "appliance/release/verdict.h"
#include "base/file.h"

namespace qpcseal::testing {
namespace {

constexpr const char* kMek = R"(
[[mek]]
labels = ["resnet*"]
devices = ["the-class"]
modes = ["token"]
suites = [1]
segments = []
max_releases = 10
max_encryptions = 1000

[approvals]
release = 0
)";

std::string head(const std::string& scheme, const Identity& root) {
  return "serial = 1\nappliance = \"any\"\ncollateral = \"none\"\nexpires = \"" +
         format_time(kTestNow + kDay) + "\"\n\n[[device]]\nname = \"the-class\"\n" + "scheme = \"" + scheme +
         "\"\nroots = [\"" + sha256_hex(root.der()) + "\"]\n";
}

std::string common(ByteView ueid, const std::string& key) {
  return "session_keys = [\"" + key + "\"]\nchallenge_lifetime = \"24h\"\nueids = [\"" + to_hex(ueid) +
         "\"]\nrevoked_ueids = []\nmax_releases_per_card = 5\ncrl = \"none\"\nsubmods = \"none\"\n";
}

std::string measurement(const std::string& name, std::uint8_t fill, int svn) {
  return "[[device.measurement]]\nname = \"" + name + "\"\ndigests = [\"" + to_hex(Bytes(48, fill)) +
         "\"]\nmin_svn = " + std::to_string(svn) + "\n";
}

PolicyFixture desk(const std::string& text, const Identity& root, const Bytes& aud, const Bytes& nonce) {
  PolicyFixture out;
  out.policy_text = text + kMek;
  out.policy = policy::parse_policy(out.policy_text);
  out.trust.roots = {{"root.der", root.der()}};
  out.state.genesis = {{"aud", to_hex(aud)}};
  audit::Challenge challenge;
  challenge.nonce = nonce;
  challenge.mek_id = out.mek_id;
  challenge.made = kTestNow - 60;
  challenge.expires = kTestNow + 3600;
  out.state.challenges[nonce] = challenge;
  audit::MekHistory mek;
  mek.id = out.mek_id;
  mek.label = "resnet50#1";
  mek.state = "ok";
  out.state.meks[out.mek_id] = mek;
  return out;
}

}  // namespace

PolicyFixture desk_for(const TestCard& card) {
  const std::string text = head("eat-card", card.root) +
                           "oemid = 4242\nhwmodel = \"c0de\"\nhwversion = \"2.1\"\nmin_dbgstat = 3\n"
                           "lifecycle = [\"secured\"]\n" +
                           common(card.ueid, "p256") + measurement("boot", 0x11, 4) +
                           measurement("firmware", 0x22, 7);
  return desk(text, card.root, card.aud, card.nonce);
}

PolicyFixture desk_for(const TestEnclave& enclave) {
  const std::string text = head("aws-nitro", enclave.root) +
                           "oemid = \"none\"\nhwmodel = \"none\"\nhwversion = \"none\"\noemboot = \"none\"\n"
                           "min_dbgstat = 2\nlifecycle = \"none\"\n" +
                           common(view("i-0123456789abcdef0"), "p384") + measurement("pcr0", 0x10, 0) +
                           measurement("pcr1", 0x11, 0) + measurement("pcr2", 0x12, 0) +
                           measurement("pcr4", 0x14, 0);
  return desk(text, enclave.root, enclave.aud, enclave.nonce);
}

void PolicyFixture::open_release(const Sha256Digest& report, const encoding::Json& wrapped) {
  constexpr std::uint64_t kIntent = 7;
  challenge().consumed = true;
  challenge().consumed_by = to_hex(report);
  challenge().intent = kIntent;
  state.open[kIntent] = {kIntent,
                         "release",
                         "txn",
                         {{"report_sha256", to_hex(report)},
                          {"mek_id", to_hex(mek_id)},
                          {"policy", {{"digest", state.policy_digest}, {"serial", 1}}}},
                         wrapped};
}

Judged PolicyFixture::judge(ByteView bytes) const {
  Judged out;
  const release::Report report{"mutant", copy(bytes), sha256(bytes)};
  const release::Verified verified = release::verify_attestation(report, policy, trust, now);
  Findings findings = verified.evidence.findings;
  if (verified.evidence.claims) {
    const auto challenge = release::challenge_facts(state, verified.evidence.claims->nonce, report);
    const release::Verdict verdict = release::judge({policy, state, now, {}, mek_id, 1}, challenge, verified);
    findings = verdict.decision.findings();
    out.released = verdict.decision.allowed();
    EXPECT_EQ(out.released, verdict.decision.trust().affirming() && findings.empty());
  }
  for (const Finding& finding : findings) out.ids.insert(finding.id);
  return out;
}

void MutantCounter::note(const Judged& judged, const std::set<std::string>& expected,
                         const std::string& what) {
  ++mutants_;
  for (const std::string& id : judged.ids) ++by_id_[id];
  EXPECT_FALSE(judged.released) << what;
  const bool named = std::any_of(expected.begin(), expected.end(),
                                 [&](const std::string& id) { return judged.ids.contains(id); });
  EXPECT_TRUE(named) << what << " gave " << ::testing::PrintToString(judged.ids) << ", expected one of "
                     << ::testing::PrintToString(expected);
}

void MutantCounter::print(const std::string& campaign) const {
  const Bytes file = read_file(std::filesystem::path(QPCSEAL_SOURCE_DIR) / "docs/CHECKS.md", 1U << 20);
  for (const auto& [id, count] : by_id_)
    EXPECT_NE(text_view(file).find("| `" + id + "` |"), std::string_view::npos)
        << id << " is not in CHECKS.md";
  std::cout << campaign << ": " << mutants_ << " mutants, none released; findings:";
  for (const auto& [id, count] : by_id_) std::cout << " " << id << " " << count;
  std::cout << "\n";
}

}  // namespace qpcseal::testing
