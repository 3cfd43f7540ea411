// SPDX-License-Identifier: Apache-2.0
#include "attest/der_cache.h"

namespace qpcseal::attest {
namespace {

constexpr std::size_t kMaxDer = 65536;
// Reports may carry any certificates; beyond this many none is kept, and no signature remembered.
constexpr std::size_t kMaxCertificates = 256;

DerCache::Crl read(ByteView der) {
  DerCache::Crl out;
  const unsigned char* at = der.data();
  out.list.reset(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  try {
    out.info = read_crl(der);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    out.faults = error.findings();
  }
  return out;
}

Sha256Digest certificate_digest(const X509* certificate) {
  Sha256Digest out{};
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), out.data(), &size) != 1 || size != out.size())
    throw Error(ErrorKind::Internal, "X509_digest failed");
  return out;
}

CertPtr shared(const CertPtr& certificate) {
  X509_up_ref(certificate.get());
  return CertPtr(certificate.get());
}

}  // namespace

CertPtr parse_certificate(ByteView der) {
  const unsigned char* at = der.data();
  CertPtr certificate(der.size() > kMaxDer ? nullptr : d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!certificate || at != der.data() + der.size())
    throw Error(ErrorKind::Malformed, "not one DER certificate");
  return certificate;
}

CertPtr DerCache::certificate(ByteView der) {
  Bytes key = copy(der);
  const std::lock_guard lock(mutex_);
  const auto known = certificates_.find(key);
  if (known != certificates_.end()) return shared(known->second);
  CertPtr fresh = parse_certificate(der);
  if (certificates_.size() >= kMaxCertificates) return fresh;
  return shared(certificates_.emplace(std::move(key), std::move(fresh)).first->second);
}

const DerCache::Crl& DerCache::crl(ByteView der) {
  Bytes key = copy(der);
  const std::lock_guard lock(mutex_);
  const auto known = crls_.find(key);
  return known != crls_.end() ? known->second : crls_.emplace(std::move(key), read(der)).first->second;
}

bool DerCache::signs(X509* issuer, const Crl& crl) {
  const std::pair key(&crl, certificate_digest(issuer));
  const std::lock_guard lock(mutex_);
  const auto known = signed_.find(key);
  if (known != signed_.end()) return known->second;
  const bool good = crl.list && X509_CRL_verify(crl.list.get(), X509_get0_pubkey(issuer)) == 1;
  ERR_clear_error();
  return signed_.emplace(key, good).first->second;
}

bool DerCache::issued(const X509* issuer, X509* certificate) {
  const std::pair key(certificate_digest(issuer), certificate_digest(certificate));
  const std::lock_guard lock(mutex_);
  const auto known = issued_.find(key);
  if (known != issued_.end()) return known->second;
  ++verified_;
  const bool good = X509_verify(certificate, X509_get0_pubkey(issuer)) == 1;
  ERR_clear_error();
  if (issued_.size() < kMaxCertificates) issued_.emplace(key, good);
  return good;
}

std::size_t DerCache::verified() const {
  const std::lock_guard lock(mutex_);
  return verified_;
}

}  // namespace qpcseal::attest
