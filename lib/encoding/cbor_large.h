// CBOR items that may be larger than cbor::kMaxSize, by the same rules.
#pragma once

#include "encoding/cbor.h"

namespace qpcseal::cbor {

// As parse(), with another limit of the size in bytes. Error{Malformed}.
Value parse_large(ByteView bytes, Level level, std::string_view name, std::size_t max_size);

}  // namespace qpcseal::cbor
