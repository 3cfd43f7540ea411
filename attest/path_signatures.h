// SPDX-License-Identifier: Apache-2.0
// The signatures and the validity in time of a path that OpenSSL has built.
#pragma once

#include "attest/der_cache.h"

namespace qpcseal::attest {

// From now on `context` verifies signatures by way of `cache`, which must outlive it: what OpenSSL's own
// internal_verify() checks, in its order and with its errors, but a certificate that issued another one (an
// intermediate, which many reports carry) is verified once for the same bytes of both. The leaf is verified
// each time, and the time of each certificate is looked at each time.
void verify_signatures_once(X509_STORE_CTX* context, DerCache& cache);

}  // namespace qpcseal::attest
