// SPDX-License-Identifier: Apache-2.0
#include "base/stream.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal {

ByteStream memory_stream(ByteView in, MutableBytes out) {
  const auto read = [in](MutableBytes to) mutable {
    if (to.size() > in.size()) throw Error(ErrorKind::Internal, "more is read than there is");
    std::ranges::copy(in.first(to.size()), to.begin());
    in = in.subspan(to.size());
  };
  const auto write = [out](ByteView from) mutable {
    if (from.size() > out.size()) throw Error(ErrorKind::Internal, "a result longer than its place");
    std::ranges::copy(from, out.begin());
    out = out.subspan(from.size());
  };
  return {in.size(), read, write};
}

}  // namespace qpcseal
