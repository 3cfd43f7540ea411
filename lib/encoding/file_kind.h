// SPDX-License-Identifier: Apache-2.0
// What a file is, by how it begins or by one text in it: for the message about a file that was given in place
// of another. Nothing is verified, and nothing is decided by it.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fd.h"

namespace qpcseal::encoding {

// "a request for attestation", "a receipt", ...; empty where it is none that is known.
std::string_view file_kind(ByteView bytes);

// The same by its first bytes alone, which no other format has: for a file whose format is not known here.
std::string_view file_kind_at_front(ByteView bytes);

// "this is a receipt, not a request for attestation"
Error other_kind(std::string_view kind, std::string_view wanted, const std::string& hint = {});

// The first bytes of a file, at most 64 KiB: enough for file_kind().
Bytes front_of(const Fd& file);

// Error{Malformed} for a file of another known kind than `wanted`. Before a format is parsed in which another
// one's mark cannot stand.
void refuse_other_kind(ByteView bytes, std::string_view wanted, const std::string& hint = {});

// Runs `parse`, which reads `bytes` as `wanted`. Its Error{Malformed} for a file of another known kind
// becomes other_kind().
template <typename Parse>
decltype(auto) as_kind(ByteView bytes, std::string_view wanted, Parse&& parse) {
  try {
    return std::forward<Parse>(parse)();
  } catch (const Error& error) {
    const std::string_view kind = error.kind() == ErrorKind::Malformed ? file_kind(bytes) : "";
    if (kind.empty() || kind == wanted) throw;
    throw other_kind(kind, wanted, error.hint());
  }
}

}  // namespace qpcseal::encoding
