// SPDX-License-Identifier: Apache-2.0
// The files in which SoftHSM 2 keeps a token's objects, so far as to tell a whole one from a torn one.
//
// An object file is u64be generation, then attributes to its end: u64be type | u64be kind | value. By kind: 1
// one byte; 2 u64be; 3 u64be n, n bytes; 4 u64be n, n bytes (attributes inside); 5 u64be n, n times u64be. It
// is cut to nothing and written anew at each change, with a generation that rises.
#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "base/bytes.h"

namespace qpcseal::site {

inline constexpr std::size_t kGenerationSize = 8;  // bytes

struct TokenFile {
  std::set<std::uint64_t> types;  // of its attributes
  bool is_data = false;           // CKO_DATA: no key
  bool lacks_value = false;  // a secret or private key whose CKA_VALUE is missing or empty (RSA has none)
};

// Nothing for a file that is empty or torn.
std::optional<TokenFile> parse_token_file(ByteView bytes);
// Whether two files have the same attributes: the generation alone may differ.
[[nodiscard]] bool same_attributes(ByteView a, ByteView b);

}  // namespace qpcseal::site
