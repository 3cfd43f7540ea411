// SPDX-License-Identifier: Apache-2.0
// Certificates and CRLs that many reports share, parsed once. The cache key is the exact bytes, and the
// cached facts depend on them alone: the parsed content, and whether one key signed a list or an issuer's
// certificate. Validity in time, revocation and trust are never cached.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "attest/crl.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/finding.h"
#include "base/openssl.h"

namespace qpcseal::attest {

// Exactly one DER certificate and nothing after it, at most 64 KiB; throws Error{Malformed}.
CertPtr parse_certificate(ByteView der);

// Several threads may use one at once.
class DerCache {
 public:
  struct Crl {
    CrlPtr list;                  // null where the bytes are no CRL
    std::optional<CrlInfo> info;  // as read_crl() has it;
    Findings faults;              // or why there is none
  };

  // As parse_certificate(): an object that other paths hold too, not to be changed.
  CertPtr certificate(ByteView der);
  // Lives as long as the cache.
  const Crl& crl(ByteView der);
  // Whether the issuer's key signed the list.
  bool signs(X509* issuer, const Crl& crl);
  // Whether the issuer's key signed the certificate.
  bool issued(const X509* issuer, X509* certificate);
  // How many signatures issued() has verified, and did not remember.
  [[nodiscard]] std::size_t verified() const;

 private:
  mutable std::mutex mutex_;
  std::size_t verified_ = 0;
  std::map<Bytes, CertPtr> certificates_;
  std::map<Bytes, Crl> crls_;
  std::map<std::pair<const Crl*, Sha256Digest>, bool> signed_;    // by list and issuer's certificate
  std::map<std::pair<Sha256Digest, Sha256Digest>, bool> issued_;  // by issuer's certificate and its own
};

}  // namespace qpcseal::attest
