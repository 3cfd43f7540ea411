// SPDX-License-Identifier: Apache-2.0
// What lies in a bundle: as a list, and as files for an auditor to read. Nothing is verified here.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "encoding/json.h"

namespace qpcseal::cli {

struct BundlePart {
  std::string name;  // of its file: letters, digits, '.', '-'
  std::string what;  // "the policy of the verdict"
  Bytes bytes;
};

// In their order in the bundle (FORMAT.md section 6.7). Error{Malformed} where a part has another form.
std::vector<BundlePart> bundle_parts(const encoding::Json& bundle);

}  // namespace qpcseal::cli
