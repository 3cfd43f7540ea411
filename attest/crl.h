// SPDX-License-Identifier: Apache-2.0
// Certificate revocation lists (RFC 5280 section 5): which are accepted, and their content. Only complete
// lists are accepted: a delta, a list of a part (issuingDistributionPoint) or of other issuers' certificates
// (certificateIssuer) could hide a revocation.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/finding.h"
#include "base/openssl.h"

namespace qpcseal::attest {

// The highest crlNumber of each issuer: its name as canonical_name() has it -> the number as in CrlInfo.
using CrlNumbers = std::map<Bytes, Bytes>;

struct CrlInfo {
  Bytes issuer;  // canonical_name() of its name
  std::string issuer_text;
  Bytes number;  // crlNumber (RFC 5280 section 5.2.3), big-endian without leading zeros
  UnixTime this_update = 0, next_update = 0;
  std::vector<Bytes> revoked;  // as serial_bytes() has them, sorted
};

// Throws Error{Malformed} with one finding, which names the issuer: for what is no CRL or lacks crlNumber or
// nextUpdate (ATT-CRL), has a critical extension (ATT-CRL), covers a part (ATT-CRL-SCOPE), or is signed with
// less than SHA-256 (ATT-CRL-DIGEST). Does not verify the signature.
CrlInfo read_crl(ByteView der);
// Throws as read_crl, and Error{Malformed} where two different lists have one issuer and one number.
void check_lists(const std::vector<Bytes>& crls);
// Of each issuer the list with the highest crlNumber. Throws as read_crl.
std::vector<CrlInfo> newest(const std::vector<Bytes>& crls);

// A sign (0 or 1) and the magnitude, big-endian.
Bytes serial_bytes(const ASN1_INTEGER* serial);
// Whether an entry of the list has the certificate's serial number. Does not compare issuers.
bool revokes(const CrlInfo& crl, const X509* certificate);

// The name, DER, in a form that two names have in common exactly where X509_NAME_cmp takes them for one:
// strings as UTF8String, without blanks around them, blanks inside as one space, ASCII letters in lower case.
// Names that issuers write in two ways stay one name. Throws Error{Malformed}.
Bytes canonical_name(const X509_NAME* name);

// Numbers as CrlInfo has them, of any length.
bool crl_number_less(const Bytes& a, const Bytes& b);
// `seen` raised to what `crls` (DER) hold: what to keep once they were accepted. Throws as read_crl.
CrlNumbers raised(CrlNumbers seen, const std::vector<Bytes>& crls);
void raise(CrlNumbers& seen, const CrlInfo& crl);
// One finding (ATT-CRL-ROLLBACK) for each issuer whose newest list in `crls` lies below `floors`. Throws as
// read_crl.
Findings check_crl_floors(const std::vector<Bytes>& crls, const CrlNumbers& floors);
Findings check_crl_floor(const CrlInfo& crl, const CrlNumbers& floors);

}  // namespace qpcseal::attest
