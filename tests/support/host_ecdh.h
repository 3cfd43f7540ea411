// SPDX-License-Identifier: Apache-2.0
// The host's side of a key agreement, by OpenSSL: what a token's KEK is compared with. std::runtime_error.
#pragma once

#include <string>

#include "base/openssl.h"

namespace qpcseal::testing {

void require_openssl(bool good);
// ECDH: the x coordinate of the shared point.
Bytes agree(EVP_PKEY* ours, EVP_PKEY* theirs);
// ANSI X9.63 KDF, 32 bytes; `digest` as OpenSSL names it.
Bytes x963(Bytes z, Bytes info, std::string digest);

}  // namespace qpcseal::testing
