// SPDX-License-Identifier: Apache-2.0
// One card to ask: where it is, what to bring, where its answer goes.
#pragma once

#include <filesystem>

#include "courier/client.h"

namespace qpcseal::courier {

struct Errand {
  Endpoint host;
  unsigned device = 0;
  std::filesystem::path request, report;
};

}  // namespace qpcseal::courier
