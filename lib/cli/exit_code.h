// SPDX-License-Identifier: Apache-2.0
// What a program's exit code says of the error that ended it.
#pragma once

#include "base/error.h"

namespace qpcseal::cli {

// 1 to 9 and 130, the same in all programs; each lists those that it can end with in its help.
int exit_code(ErrorKind kind);

}  // namespace qpcseal::cli
