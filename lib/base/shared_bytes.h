// SPDX-License-Identifier: Apache-2.0
// Bytes that live as long as anybody holds them, wherever they lie.
#pragma once

#include <memory>

#include "base/bytes.h"

namespace qpcseal {

struct SharedBytes {
  std::shared_ptr<const void> owner;
  ByteView bytes;
};

inline SharedBytes share(Bytes bytes) {
  auto owner = std::make_shared<const Bytes>(std::move(bytes));
  const ByteView all = *owner;
  return {std::move(owner), all};
}

}  // namespace qpcseal
