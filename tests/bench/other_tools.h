// SPDX-License-Identifier: Apache-2.0
// What other programs do with the same file.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/measure.h"
#include "tests/bench/process.h"

namespace qpcseal::bench {

// Appends a case for each of age, openssl, pkcs11-tool and cp that is installed. Each encrypts (copies) the
// file `model` of `size` bytes to `out` in the workspace. `before` and `after` are the cases'.
void add_other_tools(std::vector<Case>& cases, const Workspace& work, const std::string& model, double size,
                     const std::function<void()>& before, const std::function<void()>& after);

}  // namespace qpcseal::bench
