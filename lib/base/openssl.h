// SPDX-License-Identifier: Apache-2.0
// Owners for the OpenSSL objects that attestation uses.
#pragma once

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace qpcseal {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
template <typename T, auto Free>
using Owned = std::unique_ptr<T, Freer<Free>>;

using KeyPtr = Owned<EVP_PKEY, EVP_PKEY_free>;
using KeyContextPtr = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using DigestContextPtr = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using CertPtr = Owned<X509, X509_free>;
using CrlPtr = Owned<X509_CRL, X509_CRL_free>;
using StorePtr = Owned<X509_STORE, X509_STORE_free>;
using StoreContextPtr = Owned<X509_STORE_CTX, X509_STORE_CTX_free>;
using NumberPtr = Owned<BIGNUM, BN_free>;
using EcdsaSignaturePtr = Owned<ECDSA_SIG, ECDSA_SIG_free>;
using ParamBuilderPtr = Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using ParamsPtr = Owned<OSSL_PARAM, OSSL_PARAM_free>;
using AsnNumberPtr = Owned<ASN1_INTEGER, ASN1_INTEGER_free>;

// The result of an allocating call, or Error{Internal}.
template <typename Pointer>
Pointer made(Pointer pointer, const char* call) {
  if (!pointer) throw Error(ErrorKind::Internal, std::string(call) + " failed");
  return pointer;
}

// "prime256v1", "secp384r1", ... of an EC key that names it; empty for other keys, and where the curve's
// parameters are written out (RFC 5480 section 2.1.1 forbids that).
std::string curve_name(const EVP_PKEY* key);

// ": " and the last reason of this thread's error queue, such as ": Incorrect PIN"; empty where there is
// none. The queue is empty then.
std::string take_openssl_reason();

}  // namespace qpcseal
