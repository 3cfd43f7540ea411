// SPDX-License-Identifier: Apache-2.0
#include "base/swap.h"

#include <fstream>
#include <string>

namespace qpcseal {

// Beside its head, the file has a line for each place of swap.
bool is_swapping() {
  std::ifstream file("/proc/swaps");
  std::string line;
  std::size_t lines = 0;
  while (std::getline(file, line)) ++lines;
  return lines != 1;
}

}  // namespace qpcseal
