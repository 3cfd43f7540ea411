// SPDX-License-Identifier: Apache-2.0
#include "attest/crl_signer.h"

#include "attest/crl.h"
#include "attest/der_cache.h"
#include "base/error.h"

namespace qpcseal::attest {

CrlSigner signer_of(ByteView crl, const std::vector<Bytes>& roots) {
  const Bytes issuer = read_crl(crl).issuer;
  DerCache parsed;
  CrlSigner out = CrlSigner::Unknown;
  for (const Bytes& der : roots) {
    const CertPtr root = parsed.certificate(der);
    if (canonical_name(X509_get_subject_name(root.get())) != issuer) continue;
    if (parsed.signs(root.get(), parsed.crl(crl))) return CrlSigner::Root;
    out = CrlSigner::Nobody;
  }
  return out;
}

void refuse_forged(const std::vector<Bytes>& crls, const std::vector<Bytes>& roots) {
  for (const Bytes& der : crls) {
    if (signer_of(der, roots) != CrlSigner::Nobody) continue;
    const std::string what = "a list of " + read_crl(der).issuer_text + " that this root did not sign";
    throw Error(ErrorKind::Malformed, what, "take the list that the issuer publishes",
                {{"ATT-CRL", "CRL", what, "signed by its issuer", "FORMAT.md section 5.1"}});
  }
}

}  // namespace qpcseal::attest
