// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "appliance/approval/officers.h"
#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

QPCSEAL_FUZZ_TARGET(input) {
  fuzz::accepted([&] {
    const approval::Officers officers = approval::parse_officers(text_view(input));
    std::set<Bytes> keys;
    for (const approval::Officer& officer : officers.list) {
      fuzz::require(!officer.name.empty() && !officer.namespaces.empty(),
                    "an officer without a name or a namespace");
      fuzz::require(keys.insert(officer.key.blob).second, "one key twice");
    }
    fuzz::require(!keys.empty(), "nobody is listed");
  });
}
