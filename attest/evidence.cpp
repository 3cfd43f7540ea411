// SPDX-License-Identifier: Apache-2.0
#include "attest/evidence.h"

#include <algorithm>
#include <array>
#include <functional>

#include "attest/measurement.h"
#include "base/error.h"
#include "encoding/cbor.h"

namespace qpcseal::attest {
namespace {

constexpr const char* kClaimRule = "FORMAT.md section 5";

enum class Need { Required, Optional };

struct ClaimRow {
  std::int64_t key;
  const char* id;
  const char* name;
  const char* expected;
  Need need;
  void (*read)(const cbor::Value& value, Claims& claims);  // throws Error{Malformed}
};

void read_aud(const cbor::Value& value, Claims& claims) {
  const std::string_view text = value.as_text("aud");
  const Bytes aud = from_hex(text);
  check(aud.size() == 16 && to_hex(aud) == text, "aud is not 16 bytes in lower-case hex");
  claims.aud = aud;
}

void read_session_key(const cbor::Value& value, Claims& claims) {
  const auto& members = value.as_map("cnf");
  check(members.size() == 1 && value.find(1) != nullptr, "cnf holds more or else than one COSE_Key");
  claims.session_key = parse_session_key(*value.find(1));
}

void read_oemboot(const cbor::Value& value, Claims& claims) { claims.oemboot = value.as_bool("oemboot"); }

void read_profile(const cbor::Value& value, Claims& claims) {
  claims.profile = value.as_text("profile");
  check(claims.profile == kEatCardProfile, "the profile is '" + claims.profile + "'");
}

constexpr std::array kClaims = {
    ClaimRow{3, "ATT-AUD", "aud", "16 bytes in hex", Need::Required, read_aud},
    ClaimRow{4, "ATT-EXP", "exp", "a time", Need::Optional,
             [](const cbor::Value& value, Claims& claims) { claims.exp = read_time(value, "exp"); }},
    ClaimRow{6, "ATT-IAT", "iat", "a time", Need::Optional,
             [](const cbor::Value& value, Claims& claims) { claims.iat = read_time(value, "iat"); }},
    ClaimRow{8, "ATT-CNF", "cnf", "one session key", Need::Required, read_session_key},
    ClaimRow{10, "ATT-NONCE", "eat_nonce", "one nonce of 8 to 64 bytes", Need::Required,
             [](const cbor::Value& value, Claims& claims) {
               claims.nonce = read_sized(value, "eat_nonce", 8, 64);
             }},
    ClaimRow{256, "ATT-UEID", "ueid", "7 to 33 bytes", Need::Required,
             [](const cbor::Value& value, Claims& claims) {
               claims.ueid = read_sized(value, "ueid", kMinUeid, kMaxUeid);
             }},
    ClaimRow{258, "ATT-OEMID", "oemid", "a private enterprise number", Need::Required,
             [](const cbor::Value& value, Claims& claims) { claims.oemid = value.as_unsigned("oemid"); }},
    ClaimRow{259, "ATT-HWMODEL", "hwmodel", "1 to 32 bytes", Need::Required,
             [](const cbor::Value& value, Claims& claims) {
               claims.hwmodel = read_sized(value, "hwmodel", 1, 32);
             }},
    ClaimRow{260, "ATT-HWVERSION", "hwversion", "[text] or [text, scheme]", Need::Required,
             [](const cbor::Value& value, Claims& claims) { claims.hwversion = read_hwversion(value); }},
    ClaimRow{262, "ATT-OEMBOOT", "oemboot", "true or false", Need::Required, read_oemboot},
    ClaimRow{
        263, "ATT-DBGSTAT", "dbgstat", "0 to 4", Need::Required,
        [](const cbor::Value& value, Claims& claims) { claims.dbgstat = read_up_to(value, "dbgstat", 4); }},
    ClaimRow{265, "ATT-PROFILE", "eat_profile", kEatCardProfile, Need::Required, read_profile},
    ClaimRow{266, "ATT-SUBMODS", "submods", "claim sets by name", Need::Optional,
             [](const cbor::Value& value, Claims& claims) { claims.submods = read_submodules(value); }},
    ClaimRow{268, "ATT-BOOTSEED", "bootseed", "32 to 64 bytes", Need::Required,
             [](const cbor::Value& value, Claims& claims) {
               claims.bootseed = read_sized(value, "bootseed", 32, 64);
             }},
    ClaimRow{
        273, "ATT-MEASUREMENTS", "measurements", "measured components, one or more", Need::Required,
        [](const cbor::Value& value, Claims& claims) { claims.measurements = read_measurements(value); }},
    ClaimRow{-75002, "ATT-LIFECYCLE", "lifecycle", "0 to 3", Need::Required,
             [](const cbor::Value& value, Claims& claims) {
               claims.lifecycle = read_up_to(value, "lifecycle", 3);
             }},
};

// The one place that turns the reader's exceptions into findings, so that one wrong claim does not hide the
// next.
void collect(const ClaimRow& row, Findings& findings, const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    findings.push_back({row.id, row.name, error.what(), row.expected, kClaimRule});
  }
}

void refuse_unknown(const cbor::Value& set, Findings& findings) {
  for (const auto& entry : set.as_map("claims")) {
    const bool known = std::any_of(kClaims.begin(), kClaims.end(),
                                   [&](const ClaimRow& row) { return set.find(row.key) == &entry.second; });
    if (!known)
      findings.push_back(
          {"ATT-UNKNOWN-CLAIM", "0x" + to_hex(entry.first.raw()), "present", "no such claim", kClaimRule});
  }
}

std::optional<cbor::Value> parse_set(ByteView payload, Findings& findings) {
  try {
    cbor::Value set = cbor::parse(payload, cbor::Level::Deterministic, "claims");
    if (set.is(cbor::Type::Map)) return set;
    findings.push_back({"ATT-CBOR", "claims", "no map", "a map", kClaimRule});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    findings.push_back({"ATT-CBOR", "claims", error.what(), "deterministic CBOR", "FORMAT.md CBOR rules"});
  }
  return std::nullopt;
}

}  // namespace

std::string lifecycle_name(unsigned lifecycle) {
  constexpr std::array names = {"test", "development", "secured", "rma"};
  return lifecycle < names.size() ? names[lifecycle] : "unknown (" + std::to_string(lifecycle) + ")";
}

std::optional<Claims> parse_claims(ByteView payload, Findings& findings) {
  const std::size_t before = findings.size();
  const std::optional<cbor::Value> set = parse_set(payload, findings);
  if (!set) return std::nullopt;
  Claims claims;
  for (const ClaimRow& row : kClaims) {
    const cbor::Value* value = set->find(row.key);
    if (value != nullptr) {
      collect(row, findings, [&] { row.read(*value, claims); });
    } else if (row.need == Need::Required) {
      findings.push_back({row.id, row.name, "absent", row.expected, kClaimRule});
    }
  }
  refuse_unknown(*set, findings);
  if (findings.size() != before) return std::nullopt;
  return claims;
}

}  // namespace qpcseal::attest
