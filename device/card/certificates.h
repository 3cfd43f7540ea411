// SPDX-License-Identifier: Apache-2.0
// The simulated vendor's certificates: a root, an issuing certificate and one leaf for each card, as
// FORMAT.md section 5 wants them.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/openssl.h"

namespace qpcseal::device {

struct Identity {
  KeyPtr key;  // P-384
  CertPtr certificate;
};

// Lives only while cards are provisioned: its private keys are never written anywhere.
struct Vendor {
  Identity root, issuer;
};

Vendor make_vendor(UnixTime now);

// A card's own key with its certificates, leaf first, the root last; DER.
struct CardIdentity {
  KeyPtr key;
  std::vector<Bytes> chain;
};
CardIdentity make_card_identity(const Vendor& vendor, ByteView ueid, UnixTime now);

std::string to_pem(const std::vector<Bytes>& certificates);
// Throws Error{Malformed} where there is none.
std::vector<Bytes> parse_pem_chain(ByteView pem);

}  // namespace qpcseal::device
