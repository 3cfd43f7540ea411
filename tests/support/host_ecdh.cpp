// SPDX-License-Identifier: Apache-2.0
#include "tests/support/host_ecdh.h"

#include <openssl/kdf.h>

#include <array>
#include <stdexcept>

namespace qpcseal::testing {

void require_openssl(bool good) {
  if (!good) throw std::runtime_error("OpenSSL refused");
}

Bytes agree(EVP_PKEY* ours, EVP_PKEY* theirs) {
  const KeyContextPtr context(EVP_PKEY_CTX_new(ours, nullptr));
  std::size_t size = 0;
  require_openssl(EVP_PKEY_derive_init(context.get()) == 1 &&
                  EVP_PKEY_derive_set_peer(context.get(), theirs) == 1 &&
                  EVP_PKEY_derive(context.get(), nullptr, &size) == 1);
  Bytes z(size);
  require_openssl(EVP_PKEY_derive(context.get(), z.data(), &size) == 1);
  return z;
}

Bytes x963(Bytes z, Bytes info, std::string digest) {
  const Owned<EVP_KDF, EVP_KDF_free> kdf(EVP_KDF_fetch(nullptr, "X963KDF", nullptr));
  const Owned<EVP_KDF_CTX, EVP_KDF_CTX_free> context(EVP_KDF_CTX_new(kdf.get()));
  const std::array<OSSL_PARAM, 4> params{
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, z.data(), z.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
      OSSL_PARAM_construct_end()};
  Bytes kek(32);
  require_openssl(EVP_KDF_derive(context.get(), kek.data(), kek.size(), params.data()) == 1);
  return kek;
}

}  // namespace qpcseal::testing
