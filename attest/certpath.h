// SPDX-License-Identifier: Apache-2.0
// Certificate paths (RFC 5280) from a card's leaf to a pinned root. Nothing but the roots given here is
// trusted: no system store, no partial paths; what the message carries is only ever untrusted.
#pragma once

#include <string>
#include <vector>

#include "attest/trust_anchors.h"
#include "base/bytes.h"
#include "base/clock.h"

namespace qpcseal::attest {

// A path has at most so many certificates, with the root.
inline constexpr std::size_t kMaxPath = 6;

// The requirements of a scheme on its paths.
struct PathProfile {
  std::string curve = SN_secp384r1;  // of the leaf's key
  int attribute = NID_serialNumber;  // of the leaf's subject, there exactly once,
  std::string identity;              // with this text
  bool domain = false;               // or, where set, this text, '.', and more
  // X509_STRICT. Only for a maker whose certificates lack what RFC 5280 wants beside what is checked here.
  bool strict = true;
};

// `chain` is DER, leaf first, each certificate the issuer of the one before; the root may be left out. Checks
// with X509_STRICT, OpenSSL's security level 3 and the purpose "S/MIME signing" (digitalSignature on the
// leaf; a path for TLS servers does not pass), at time `now`, and refuses critical extensions that nobody
// evaluates. CRLs: every list that is given is read (attest/crl.h) and one that cannot be used is a finding;
// an entry for a certificate of the path in any list of its issuer revokes it; the list with the highest
// crlNumber must be current. An issuer without a list only leaves crls_current false: the policy says whether
// it matters.
PathResult verify_path(const std::vector<ByteView>& chain, const TrustAnchors& anchors,
                       const PathProfile& profile, UnixTime now);

}  // namespace qpcseal::attest
