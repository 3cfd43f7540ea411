// SPDX-License-Identifier: Apache-2.0
// Bytes on their way through something that takes them in pieces of its own choice.
#pragma once

#include <cstdint>
#include <functional>

#include "base/bytes.h"

namespace qpcseal {

struct ByteStream {
  std::uint64_t size = 0;                  // bytes that `read` gives in all
  std::function<void(MutableBytes)> read;  // the next bytes; never asked for more than `size`
  std::function<void(ByteView)> write;     // takes the next bytes of the result
};

// From and into memory. `in` and `out` must outlive the stream; Error{Internal} on more than they hold.
ByteStream memory_stream(ByteView in, MutableBytes out);

}  // namespace qpcseal
