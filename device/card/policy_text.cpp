// SPDX-License-Identifier: Apache-2.0
#include "device/card/policy_text.h"

#include <algorithm>
#include <array>

#include "base/digest.h"
#include "device/card/card_store.h"

namespace qpcseal::device {
namespace {

constexpr UnixTime kValidity = UnixTime{365} * 86400;

constexpr const char* kHead =
    R"(# A site's policy: which cards may have which keys, and how many officers must agree.
#
# Nothing is allowed that does not stand here. A missing rule, an unknown one or an empty list is an error, so
# that a typing mistake can never open a door. This one was written by `qpcseal-device describe --policy` for
# simulated cards and is fit for trials; go through it line by line before anything real depends on it, and ask
# `qpcseal policy check` what it thinks.

# Grows by at least one with each new version; a policy with a smaller number is refused.
serial = 1
)";

constexpr const char* kApplianceHead =
    R"(# The one appliance that it is for, by its --appliance-id: another one refuses it. "any", for no one's, serves as
# the first policy of any appliance, and later in demonstrations alone.
)";

constexpr const char* kExpiryHead =
    R"(# After this time the policy allows nothing. It makes somebody look at it again.
)";

constexpr const char* kDeviceHead = R"(
# One class of cards. A card belongs to it when every rule below holds for its attestation report.
[[device]]
name = "simulated"
# How the report is written: an EAT signed by the card (FORMAT.md, section 5).
scheme = "eat-card"
# SHA-256 of the root certificates (DER) that a card's certificates must lead to. The certificates themselves
# are given to `qpcseal init --trust`; only those whose digest stands here count.
)";

constexpr const char* kMekHead = R"(
# What may happen with model encryption keys (MEKs) whose label matches. A label must match one rule exactly.
[[mek]]
# Patterns: * stands for any text, so this covers every key.
labels = ["*"]
# Classes of cards, from above, to which these keys may be released.
devices = ["simulated"]
# "token": every encryption runs inside the token. "envelope": the token protects a data key, and the bulk is
# encrypted by the processor, in locked memory; faster, and the data key is outside of the token meanwhile.
modes = ["token"]
# How a key is wrapped to a card (FORMAT.md, section 3): 1 ECDH with X9.63 KDF, 2 ECDH with an AES-ECB based KDF
# (for tokens without KDFs), 3 RSA-OAEP with SHA-256. 4, RSA-OAEP with SHA-1, binds a wrapped key to no
# challenge and is better left out.
suites = [1, 2, 3]
# Left out, formats is ["qpcseal"]. ["vendor"] hands these keys to the vendor's own tool IN THE CLEAR, for stock
# cards (docs/VENDOR-SDK.md); it wants mek-expose below.
# Segments to encrypt beside network.elf, constants.bin and opstatsdesc.bin, and NAME.crc of each. The host's runtime
# must still read the descriptors.
segments = []
# What the host's runtime reads of network.elf, an ELF file, stays readable: its headers, and the section metadata_fb or
# metadata. elf = "host-readable" refuses a network.elf that has neither; elf = "whole" leaves nothing readable, for
# hosts that need not read it. elf_sections = ["metadata_fb", "metadata"] names the sections.
# How often a key may be released to cards, and how many encryptions it may do (at most 2^32, the limit for
# random nonces), over its whole life.
max_releases = 1000000
max_encryptions = 4294967296
)";

constexpr const char* kCollateral =
    R"(# "required": a release needs a fresh collateral bundle ('qpcseal trust import'). "none": it needs none; one that
# was imported must be fresh all the same.
collateral = "none"
)";

constexpr const char* kApprovalsHead = R"(
# How many officers must sign each operation. One that does not stand here is denied; 0, no officer at all, has
# to be written out, and is for trials only. officers-change, site-change, anchor-accept and clock-correct need at
# least one; they and policy-change need as many as any other.
[approvals]
)";

constexpr auto kOperations = std::to_array<const char*>(
    {"seal",           "release",        "mek-generate",  "mek-rotate",      "mek-backup",
     "mek-restore",    "mek-import",     "mek-drill",     "mek-suspend",     "mek-resume",
     "mek-destroy",    "recovery-key",   "policy-change", "officers-change", "trust-import",
     "log-key-rotate", "witness-change", "site-change",   "anchor-accept",   "clock-correct"});

// Whoever may do these may do whatever the others allow.
constexpr auto kPowers =
    std::to_array<std::string_view>({"officers-change", "site-change", "anchor-accept", "clock-correct"});

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

std::string hex_list(const std::vector<Bytes>& list) {
  std::string out = "[";
  for (std::size_t i = 0; i < list.size(); ++i) {
    out += (list.size() > 1 ? "\n  " : "") + quoted(to_hex(list[i])) + (i + 1 < list.size() ? "," : "");
  }
  return out + (list.size() > 1 ? "\n]" : "]");
}

std::vector<Bytes> all_ueids(const std::filesystem::path& dir) {
  std::vector<Bytes> out;
  for (const unsigned number : card_numbers(dir)) out.push_back(read_config(dir, number).ueid);
  return out;
}

std::string hardware_rules(const CardConfig& card) {
  std::string out = "# Who made it (a private enterprise number), the model (hex) and its version.\n";
  out += "oemid = " + std::to_string(card.oemid) + "\n";
  out += "hwmodel = " + quoted(to_hex(card.hwmodel)) + "\n";
  out += "hwversion = " + quoted(card.hwversion) + "\n";
  out +=
      "# Debugging: 0 enabled, 1 disabled, 2 disabled since boot, 3 permanently, 4 fully and permanently. "
      "This\n";
  out += "# is the least that counts; below 3 somebody with a probe may read the model.\n";
  out += "min_dbgstat = " + std::to_string(card.dbgstat) + "\n";
  out += "# Stages of life that are accepted: test, development, secured, rma.\n";
  out += "lifecycle = [" + quoted(attest::lifecycle_name(card.lifecycle)) + "]\n";
  out += "# Types of session keys to ask for, the preferred first: p256, p384, rsa.\n";
  out += "session_keys = [" + quoted(std::string(attest::to_string(card.session_key))) + "]\n";
  return out;
}

std::string identity_rules(const std::vector<Bytes>& ueids) {
  std::string out =
      "# How long a card has to answer a challenge, from its making: minutes, hours or days (m, h, d).\n";
  out += "challenge_lifetime = \"24h\"\n";
  out +=
      "# The cards themselves, by ueid. \"any\", written instead of the list, takes every card of this "
      "vendor\n";
  out += "# that keeps the other rules.\n";
  out += "ueids = " + hex_list(ueids) + "\n";
  out += "# Cards that are lost or broken: they get nothing, whatever else they prove.\n";
  out += "revoked_ueids = []\n";
  out += "# How often one card may be given keys, over its whole life and all keys together.\n";
  out += "max_releases_per_card = 100000\n";
  out +=
      "# \"required\": each issuer of the card's certificates needs a current revocation list among the "
      "trust\n";
  out += "# material. Simulated cards have none.\n";
  out += "crl = \"none\"\n";
  return out;
}

std::string measurement_rules(const std::vector<attest::Measurement>& list) {
  std::string out =
      "# No submodules: a card that reports any does not belong to this class.\n"
      "submods = \"none\"\n\n"
      "# What must run on the card: each of these and nothing else. `digests` lists every acceptable build; "
      "the\n"
      "# security version number (SVN) must be at least min_svn, which keeps old builds with known holes "
      "out.\n";
  for (const attest::Measurement& each : list) {
    out += "[[device.measurement]]\n";
    out += "name = " + quoted(each.name) + "  # version " + each.version + "\n";
    out += "digests = " + hex_list({each.digest}) + "\n";
    out += "min_svn = " + std::to_string(each.svn.value_or(0)) + "\n\n";
  }
  out.pop_back();
  return out;
}

}  // namespace

std::string policy_for(const std::filesystem::path& dir, unsigned number, UnixTime now,
                       const std::string& appliance) {
  const CardConfig card = read_config(dir, number);
  const Sha256Digest root = sha256(read_identity(dir, number).chain.back());
  std::string out = kHead;
  out += kApplianceHead;
  out += "appliance = " + quoted(appliance) + "\n";
  out += kExpiryHead;
  out += "expires = " + quoted(format_time(now + kValidity)) + "\n";
  out += kCollateral;
  out += kDeviceHead;
  out += "roots = " + hex_list({copy(root)}) + "\n";
  out += hardware_rules(card) + identity_rules(all_ueids(dir)) + measurement_rules(card.measurements);
  out += kMekHead;
  out += kApprovalsHead;
  for (const std::string operation : kOperations)
    out += operation + (std::ranges::find(kPowers, operation) != kPowers.end() ? " = 1\n" : " = 0\n");
  return out;
}

}  // namespace qpcseal::device
