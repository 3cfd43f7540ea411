// SPDX-License-Identifier: Apache-2.0
// Revocation on one path. The lists are searched here first, beside OpenSSL's own check: OpenSSL uses one
// list an issuer, chooses it by date, and ignores a removeFromCRL entry.
#pragma once

#include <vector>

#include "attest/trust_anchors.h"
#include "base/clock.h"

namespace qpcseal::attest {

struct GivenLists {
  std::vector<const DerCache::Crl*> usable;  // whose info is set; they live as long as the anchors' cache
  std::vector<const DerCache::Crl*> newest;  // of each issuer those with its highest crlNumber
};

// Each list that cannot be used becomes a finding, whoever issued it: an indirect list names others'
// certificates.
GivenLists sort_lists(const TrustAnchors& anchors, Findings& findings);

// Adds ATT-REVOKED for each certificate that any list of its issuer names; false where there is one. Compares
// names and serial numbers alone, before a path is built: check_revocation_lists() verifies the lists'
// signatures.
bool check_revoked(const std::vector<CertPtr>& path, const GivenLists& lists, Findings& findings);

// Every list of an issuer of the path has to be signed by it. The newest must be the only one of its number,
// not older than one that was accepted before (anchors.crl_floors), and current at `now`. Raises result.crls.
void check_revocation_lists(STACK_OF(X509) * built, const GivenLists& lists, const TrustAnchors& anchors,
                            UnixTime now, PathResult& result);

}  // namespace qpcseal::attest
