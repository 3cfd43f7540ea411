// Certificate paths (RFC 5280) from a card's leaf to a pinned root. Nothing but the roots given here is
// trusted: no system store, no partial paths; what the message carries is only ever untrusted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "attest/openssl.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/finding.h"

namespace qpcseal::attest {

// A path has at most this many certificates, the root counted.
inline constexpr std::size_t kMaxPath = 6;

struct TrustAnchors {
  std::vector<Bytes> roots;           // DER
  std::vector<Sha256Digest> allowed;  // a root counts only where the SHA-256 of its DER stands here
  std::vector<Bytes> crls;            // DER
};

struct PathResult {
  Findings findings;                 // empty: the path is good
  KeyPtr leaf_key;                   // null where the leaf does not even parse
  std::optional<Sha256Digest> root;  // of the path's root; set where a path was built
  bool crls_current = false;  // every issuer on the path has a current CRL here, and nothing is revoked
};

// What the leaf of a scheme has to be.
struct LeafProfile {
  std::string curve = SN_secp384r1;
  Bytes ueid;  // subject serialNumber (2.5.4.5) must be its lower-case hex
};

// `chain` is DER, leaf first, each certificate the issuer of the one before; the root may be left out. Checks
// with X509_STRICT, OpenSSL's security level 3 and the purpose "S/MIME signing" (digitalSignature on the
// leaf; a path for TLS servers does not pass), at time `now`. CRLs: whatever is given is used; revoked,
// stale, unsigned or unnumbered ones are findings; an issuer without one only leaves crls_current false, so
// that a policy can say whether that matters.
PathResult verify_path(const std::vector<ByteView>& chain, const TrustAnchors& anchors,
                       const LeafProfile& leaf, UnixTime now);

struct CrlInfo {
  Bytes issuer;  // the name, DER
  std::string issuer_text;
  Bytes number;  // crlNumber (RFC 5280 section 5.2.3), big-endian without leading zeros
  UnixTime this_update = 0, next_update = 0;
};
// Throws Error{Malformed} for what is no CRL or lacks crlNumber or nextUpdate. Does not look at the
// signature.
CrlInfo read_crl(ByteView der);

// Exactly one DER certificate and nothing after it; throws Error{Malformed}.
CertPtr parse_certificate(ByteView der);

}  // namespace qpcseal::attest
