// SPDX-License-Identifier: Apache-2.0
// The site's policy: which cards may have which keys, and how many officers each operation needs. Read from
// TOML, strictly: unknown keys, missing rules, empty lists and duplicates are errors, and nothing defaults to
// "allowed".
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace qpcseal::policy {

// A value and the line of the policy that says it (from 1).
template <typename T>
struct Rule {
  T value{};
  int line = 0;
};

struct MeasurementRule {
  std::string name;
  std::vector<Bytes> digests;           // any one of these: SHA-256 or SHA-384
  std::vector<std::string> references;  // or one that the collateral bundle has under one of these names
  std::uint64_t min_svn = 0;
  int line = 0;
};

struct SubmodRule {
  std::string name;
  std::vector<MeasurementRule> measurements;
  int line = 0;
};

// [[device]]: one class of cards. A card belongs to it when every rule holds. A rule without a value, written
// "none", is for schemes whose evidence has no such claim: a card that makes the claim then breaks the rule.
struct DeviceClass {
  std::string name;
  int line = 0;
  Rule<std::string> scheme;
  Rule<std::vector<Bytes>> roots;  // SHA-256 of the root certificate's DER
  Rule<std::optional<std::uint64_t>> oemid;
  Rule<std::optional<Bytes>> hwmodel;
  Rule<std::optional<std::string>> hwversion;
  Rule<bool> oemboot;          // the card must say so; false: it must not say at all
  Rule<unsigned> min_dbgstat;  // for the card and for each submodule
  Rule<std::optional<std::vector<std::string>>> lifecycle;  // "test", "development", "secured", "rma"
  Rule<std::vector<std::string>> session_keys;              // "p256", "p384", "rsa"
  Rule<std::int64_t> challenge_lifetime;                    // seconds from the request's making
  Rule<std::optional<std::vector<Bytes>>> ueids;            // no list: any
  Rule<std::vector<Bytes>> revoked_ueids;
  Rule<std::uint64_t> max_releases;  // to one card, of all keys
  Rule<bool> crl_required;
  std::vector<MeasurementRule> measurements;
  Rule<std::vector<SubmodRule>> submods;  // empty: the card must have none
};

// What of a sealed ELF file stays readable for the host (FORMAT.md section 2.1.1).
enum class ElfRule {
  WherePossible,  // the policy says nothing: what a host needs, or nothing of a file that is not as it must
                  // be
  HostReadable,   // what a host needs; any other file is refused
  Whole,          // nothing
};
// "where possible", "host-readable", "whole"
std::string_view name_of(ElfRule rule);

// Sealed in every model that has them; and of each sealed segment the one with `.crc` behind its name.
inline constexpr std::string_view kAlwaysSealed[] = {"network.elf", "constants.bin", "opstatsdesc.bin"};

// [[mek]]: what may happen with the keys whose labels match.
struct MekRule {
  int line = 0;
  Rule<std::vector<std::string>> labels;   // patterns, see policy/glob.h
  Rule<std::vector<std::string>> devices;  // names of device classes
  Rule<std::vector<std::string>> modes;    // "token", "envelope"
  Rule<std::vector<unsigned>> suites;      // 1 to 4, FORMAT.md section 3
  // "qpcseal", "vendor"; what is not written is "qpcseal" alone. "vendor": the key may be handed to the
  // vendor's own tool in the clear (mek-expose).
  Rule<std::vector<std::string>> formats;
  Rule<std::vector<std::string>> segments;  // sealed beside kAlwaysSealed
  Rule<ElfRule> elf;
  Rule<std::vector<std::string>> elf_sections;  // that stay readable; default: metadata_fb, metadata
  Rule<std::uint64_t> max_releases;
  Rule<std::uint64_t> max_encryptions;  // at most 2^32
};

// The value of `appliance` in a policy that is for no particular one.
inline constexpr std::string_view kAnyAppliance = "any";

struct Policy {
  std::string file;             // as findings name it, e.g. "policy.toml"
  Rule<std::string> appliance;  // the one appliance that it is for, as that one's log names it; or "any"
  Rule<std::uint64_t> serial;
  Rule<UnixTime> expires;
  Rule<bool> collateral_required;  // a release needs a collateral bundle; one in force must be fresh anyhow
  std::vector<DeviceClass> devices;
  std::vector<MekRule> meks;
  std::map<std::string, Rule<int>> approvals;

  // How many officers an operation needs; nothing: the policy does not allow it.
  [[nodiscard]] std::optional<int> approvals_for(std::string_view operation) const;
  // The most officers that any operation needs, and at least one.
  [[nodiscard]] int greatest_threshold() const;
  // Whether the policy names an operation that decides who or what counts, and asks for fewer officers than
  // greatest_threshold(): by it those few could do what needs more. Such operations are changes of the
  // officers, the policy, the site's facts, the log's time and the token's anchor, and of the bundle where
  // the policy takes measurements from it.
  [[nodiscard]] bool is_weak(std::string_view operation) const;
  [[nodiscard]] const DeviceClass* device(std::string_view name) const;
  // The one rule for a MEK label (`name#generation`); null where none matches, or more than one.
  [[nodiscard]] const MekRule* mek(std::string_view label) const;
  // "policy.toml:12"
  [[nodiscard]] std::string at(int line) const { return file + ":" + std::to_string(line); }
};

inline constexpr std::string_view kOwnFormat = "qpcseal", kVendorFormat = "vendor";
// The schemes that this program verifies itself.
inline constexpr std::array<std::string_view, 2> kSchemes{"eat-card", "aws-nitro"};
// A scheme "external:NAME" is a verifier of evidence that the site's facts name.
inline constexpr std::string_view kExternalScheme = "external:";

inline constexpr std::size_t kMaxPolicySize = 1U << 20;  // bytes
inline constexpr std::uint64_t kMaxEncryptions = std::uint64_t{1} << 32;

// The names that [approvals] may hold.
std::span<const std::string_view> operations();

// Throws Error{Malformed} "FILE:LINE: ...".
Policy parse_policy(std::string_view toml, const std::string& file = "policy.toml");

// The policy in words, for officers to read before they sign.
std::string show(const Policy& policy);

struct Warning {
  std::string rule;  // "policy.toml:12"
  std::string text;
};
// Rules that are allowed but deserve a second look, by line.
std::vector<Warning> lint(const Policy& policy);

}  // namespace qpcseal::policy
