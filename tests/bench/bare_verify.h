// SPDX-License-Identifier: Apache-2.0
// The signature checks that each report needs, and nothing else: what verifying is measured against.
#pragma once

#include <cstddef>
#include <vector>

#include "base/bytes.h"
#include "base/openssl.h"

namespace qpcseal::bench {

// Of the report itself and of the certificate of the card's key. A certificate that issued another one is
// verified once a run, and the root is pinned by its digest.
constexpr std::size_t kSignaturesAReport = 2;

// ECDSA P-384 with SHA-384: kSignaturesAReport signatures by as many keys, over 700 bytes each.
class BareVerify {
 public:
  BareVerify();
  // The signatures of so many reports. May be called by several threads at once.
  void reports(std::size_t count) const;

 private:
  struct Signed {
    KeyPtr key;
    Bytes text, signature;
  };
  std::vector<Signed> items_;
};

}  // namespace qpcseal::bench
