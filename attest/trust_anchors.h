// SPDX-License-Identifier: Apache-2.0
// The inputs and the result of a check of a certificate path.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "attest/crl.h"
#include "attest/der_cache.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/finding.h"
#include "base/openssl.h"

namespace qpcseal::attest {

struct TrustAnchors {
  std::vector<Bytes> roots;           // DER
  std::vector<Sha256Digest> allowed;  // a root counts only where the SHA-256 of its DER stands here
  std::vector<Bytes> crls;            // DER
  CrlNumbers crl_floors = {};         // the highest numbers ever accepted; a CRL below is an old one put back
  // What was parsed already; copies of these anchors share it.
  std::shared_ptr<DerCache> parsed = std::make_shared<DerCache>();
};

struct PathResult {
  Findings findings;                 // empty: the path is good
  KeyPtr leaf_key;                   // null where the leaf does not even parse
  std::optional<Sha256Digest> root;  // of the path's root; set where a path was built
  CrlNumbers crls;                   // of the path's issuers, as the lists given here number them
  bool crls_current = false;  // every issuer on the path has a current CRL here, and nothing is revoked
};

}  // namespace qpcseal::attest
