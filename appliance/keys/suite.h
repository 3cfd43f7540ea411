// SPDX-License-Identifier: Apache-2.0
// How a key is wrapped, and to which kind of key (FORMAT.md section 3).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace qpcseal::keys {

enum class Suite : std::uint8_t { EcdhX963 = 1, EcdhEcbKdf = 2, OaepSha256 = 3, OaepSha1 = 4 };

std::string_view to_string(Suite suite);  // "ecdh-x963-aeskw", ...
std::optional<Suite> suite_from(unsigned number);

enum class PeerType { P256, P384, Rsa };

bool serves(Suite suite, PeerType type);

}  // namespace qpcseal::keys
