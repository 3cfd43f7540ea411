// SPDX-License-Identifier: Apache-2.0
#include "tests/policy/sample.h"

#include <stdexcept>

namespace qpcseal::testing {

namespace {

constexpr const char* kText = R"(serial = 7
appliance = "plant-1"
expires = "2027-01-01T00:00:00Z"
collateral = "none"
[[device]]
name = "ai100"
scheme = "eat-card"
roots = ["1111111111111111111111111111111111111111111111111111111111111111"]
oemid = 4660
hwmodel = "a1cd"
hwversion = "2.0"
min_dbgstat = 2
lifecycle = ["secured"]
session_keys = ["p256", "p384"]
challenge_lifetime = "24h"
ueids = ["01aabbccddeeff", "01aabbccddee00"]
revoked_ueids = ["01aabbccddee00"]
max_releases_per_card = 100
crl = "required"
[[device.measurement]]
name = "boot"
digests = ["2222222222222222222222222222222222222222222222222222222222222222"]
min_svn = 5
[[device.submod]]
name = "nsp"
[[device.submod.measurement]]
name = "firmware"
digests = ["3333333333333333333333333333333333333333333333333333333333333333"]
min_svn = 0

[[mek]]
labels = ["resnet*"]
devices = ["ai100"]
modes = ["token"]
suites = [1, 2]
segments = ["extra.bin"]
max_releases = 10
max_encryptions = 1000

[approvals]
seal = 1
release = 2
mek-generate = 0
)";

}  // namespace

std::string sample_policy_text() { return kText; }

std::string sample_policy_text(const std::string& from, const std::string& to) {
  std::string text = kText;
  const std::size_t at = text.find(from);
  if (at == std::string::npos || text.find(from, at + 1) != std::string::npos)
    throw std::logic_error("the sample has '" + from + "' not exactly once");
  return text.replace(at, from.size(), to);
}

policy::Policy sample_policy() { return policy::parse_policy(kText); }

policy::Facts sample_facts() {
  policy::Facts facts;
  facts.now = parse_time("2026-11-24T12:00:00Z");
  facts.mek = {"resnet50#1", Bytes(16, 1), 3, 100};
  facts.suite = 1;
  policy::CardFacts& card = facts.card;
  card.scheme = "eat-card";
  card.root = Bytes(32, 0x11);
  card.crls_current = true;
  card.ueid = from_hex("01aabbccddeeff");
  card.oemid = 4660;
  card.hwmodel = from_hex("a1cd");
  card.hwversion = "2.0";
  card.oemboot = true;
  card.dbgstat = 3;
  card.lifecycle = "secured";
  card.session_key = "p256";
  card.aud = Bytes(16, 2);
  card.nonce = Bytes(32, 3);
  card.measurements = {{"boot", Bytes(32, 0x22), 5}};
  card.submods = {{"nsp", 2, {{"firmware", Bytes(32, 0x33), std::nullopt}}}};
  facts.challenge = {true,         false,     card.aud,         card.nonce,
                     facts.mek.id, card.ueid, facts.now - 3600, facts.now + 3600};
  facts.card_releases = 99;
  facts.svn_floors = {{"eat-card", card.hwmodel.value(), "boot", 5}};
  return facts;
}

policy::SealFacts sample_seal_facts() {
  policy::SealFacts facts;
  facts.now = parse_time("2026-11-24T12:00:00Z");
  facts.mek = {"resnet50#1", Bytes(16, 1), 3, 100};
  facts.mode = "token";
  facts.available = {"constants.bin", "networkdesc.bin", "network.elf", "extra.bin"};
  facts.segments = {"constants.bin", "network.elf", "extra.bin"};
  facts.encryptions_wanted = 900;
  return facts;
}

}  // namespace qpcseal::testing
