// SPDX-License-Identifier: Apache-2.0
// The parameters that officers approve, by operation: the table of docs/FORMAT.md section 7.1.
#pragma once

#include <string>

#include "encoding/json.h"

namespace qpcseal::cli {

// Whether these are the operation's parameters, all of them and no others; a number that was given as text
// becomes one. An unknown operation is left to the policy. Error{Usage}, with the expected parameters.
void check_parameters(const std::string& operation, encoding::Json& parameters);

}  // namespace qpcseal::cli
