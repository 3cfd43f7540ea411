// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace qpcseal {

// Whether the system has a place of swap in use (reads /proc/swaps): secrets of another's code, such as a
// token's module, may come to a disk there. True where that cannot be read.
bool is_swapping();

}  // namespace qpcseal
