// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/suite.h"

#include "base/error.h"

namespace qpcseal::keys {

std::string_view to_string(Suite suite) {
  switch (suite) {
    case Suite::EcdhX963:
      return "ecdh-x963-aeskw";
    case Suite::EcdhEcbKdf:
      return "ecdh-ecbkdf-aeskw";
    case Suite::OaepSha256:
      return "rsa-oaep-sha256";
    case Suite::OaepSha1:
      return "rsa-oaep-sha1";
  }
  return "?";
}

std::optional<Suite> suite_from(unsigned number) {
  if (number < 1 || number > 4) return std::nullopt;
  return static_cast<Suite>(number);
}

bool serves(Suite suite, PeerType type) {
  if (type == PeerType::Rsa) return suite == Suite::OaepSha256 || suite == Suite::OaepSha1;
  return suite == Suite::EcdhX963 || (suite == Suite::EcdhEcbKdf && type == PeerType::P256);
}

}  // namespace qpcseal::keys
