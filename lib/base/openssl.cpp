// SPDX-License-Identifier: Apache-2.0
#include "base/openssl.h"

#include <array>

namespace qpcseal {

namespace {

// Whether its parameters were written out in place of the curve's name, which OpenSSL finds all the same.
bool is_explicit(const EVP_PKEY* key) {
  int written_out = 1;
  const int known =
      EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &written_out);
  return known != 1 || written_out != 0;
}

}  // namespace

std::string curve_name(const EVP_PKEY* key) {
  if (key == nullptr || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC || is_explicit(key)) return {};
  std::array<char, 64> name{};
  std::size_t size = 0;
  if (EVP_PKEY_get_group_name(key, name.data(), name.size(), &size) != 1) return {};
  return {name.data(), size};
}

std::string take_openssl_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason != nullptr ? std::string(": ") + reason : std::string();
}

}  // namespace qpcseal
