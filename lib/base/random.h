// SPDX-License-Identifier: Apache-2.0
// Randomness, injected so that vectors can be frozen.
#pragma once

#include "base/bytes.h"

namespace qpcseal {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(MutableBytes out) = 0;  // thread-safe
  Bytes bytes(std::size_t size);
};

// OpenSSL's DRBG, seeded by the kernel. Throws Error{Internal} when it fails.
class SystemRandom final : public Random {
 public:
  void fill(MutableBytes out) override;
};

}  // namespace qpcseal
