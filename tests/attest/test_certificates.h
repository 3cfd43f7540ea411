// SPDX-License-Identifier: Apache-2.0
// Certificates and CRLs made to order, for tests. Keys are fresh in every process.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/openssl.h"

namespace qpcseal::testing {

inline constexpr UnixTime kTestNow = 1'800'000'000;  // 2027-01-15
inline constexpr UnixTime kDay = 86400;

KeyPtr make_ec_key(const char* curve);
// One whose curve is written out in its parameters, not named.
KeyPtr make_explicit_ec_key(const char* curve);
KeyPtr make_rsa_key(unsigned bits);
// The uncompressed point of an EC key.
Bytes point_of(EVP_PKEY* key);

struct CertSpec {
  std::string common_name;
  std::optional<std::string> serial_number = std::nullopt;  // of the subject, 2.5.4.5
  std::optional<std::string> basic_constraints = "critical,CA:TRUE";
  std::optional<std::string> key_usage = "critical,keyCertSign,cRLSign";
  std::vector<std::pair<int, std::string>> more = {};  // NID and OpenSSL configuration text
  UnixTime not_before = kTestNow - 30 * kDay;
  UnixTime not_after = kTestNow + 30 * kDay;
  const char* digest = "SHA384";
  std::optional<std::string> serial_number_again = std::nullopt;  // a second one
};

struct Identity {
  KeyPtr key;
  CertPtr certificate;
  [[nodiscard]] Bytes der() const;
};

// Signed by `issuer`, or by itself where that is null.
Identity make_identity(const CertSpec& spec, KeyPtr key, const Identity* issuer);

// An extension that OpenSSL has no words for.
struct RawExtension {
  const char* oid = "1.2.3.4.5";
  bool critical = false;
  Bytes value = {0x05, 0x00};
};

struct CrlSpec {
  std::vector<const Identity*> revoked = {};
  std::optional<long> number = 1;
  UnixTime this_update = kTestNow - kDay;
  std::optional<UnixTime> next_update = kTestNow + kDay;
  const char* digest = "SHA384";
  const char* pss = nullptr;                            // RSASSA-PSS with `digest`, and MGF1 of this one
  std::optional<long> base = std::nullopt;              // a delta to the list of this number
  std::vector<std::pair<int, std::string>> more = {};   // NID and OpenSSL configuration text
  std::vector<RawExtension> raw = {}, of_entries = {};  // of the list; of each entry
  std::optional<long> reason = std::nullopt;            // of each entry
};
Bytes make_crl(const Identity& issuer, const CrlSpec& spec);

}  // namespace qpcseal::testing
