// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <openssl/rand.h>

#include "base/error.h"

namespace qpcseal {

Bytes Random::bytes(std::size_t size) {
  Bytes out(size);
  fill(out);
  return out;
}

void SystemRandom::fill(MutableBytes out) {
  if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1)
    throw Error(ErrorKind::Internal, "RAND_bytes failed");
}

}  // namespace qpcseal
