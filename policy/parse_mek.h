// SPDX-License-Identifier: Apache-2.0
// The policy file's [[mek]] tables (docs/POLICY.md).
#pragma once

#include "encoding/toml.h"
#include "policy/policy.h"

namespace qpcseal::policy {

// `policy` has the device classes already. Errors are those of encoding::TomlReader.
MekRule read_mek(encoding::TomlReader& reader, const Policy& policy);

}  // namespace qpcseal::policy
