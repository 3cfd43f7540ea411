// SPDX-License-Identifier: Apache-2.0
// Who signed a revocation list, as far as root certificates show it (RFC 5280 section 6.3.3 (g)).
#pragma once

#include <vector>

#include "base/bytes.h"

namespace qpcseal::attest {

enum class CrlSigner {
  Root,     // one of the roots, whose name the list has
  Unknown,  // no root has the list's issuer's name: an intermediate authority, or anybody
  Nobody,   // a root has that name, and none of that name signed the list
};

// `crl` and `roots` are DER. Throws Error{Malformed} as read_crl() and parse_certificate() do.
CrlSigner signer_of(ByteView crl, const std::vector<Bytes>& roots);
// Throws Error{Malformed} with ATT-CRL for a list that is CrlSigner::Nobody's: its number would count for
// good, and the issuer's own list would never again be new enough.
void refuse_forged(const std::vector<Bytes>& crls, const std::vector<Bytes>& roots);

}  // namespace qpcseal::attest
