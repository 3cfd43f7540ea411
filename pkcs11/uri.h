// SPDX-License-Identifier: Apache-2.0
// PKCS #11 URIs (RFC 7512), the path attributes that name one key.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace qpcseal::pkcs11 {

struct KeyUri {
  std::optional<std::string> token, serial, model, manufacturer, object;
  std::optional<Bytes> id;
};

bool is_uri(std::string_view text);  // begins with "pkcs11:"

// Knows token, serial, model, manufacturer, object, id and type=secret-key. Another attribute, one given
// twice, a query (PINs do not belong in arguments) or a bad escape is Error{Usage}; so is a URI with neither
// object nor id.
KeyUri parse_uri(std::string_view uri);

}  // namespace qpcseal::pkcs11
