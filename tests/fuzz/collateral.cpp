// SPDX-License-Identifier: Apache-2.0
#include "appliance/trust/collateral_bundle.h"

#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

QPCSEAL_FUZZ_TARGET(input) {
  fuzz::accepted([&] {
    const std::string_view text = text_view(input);
    const trust::Collateral bundle = trust::parse_collateral(text);
    fuzz::require(trust::encode_collateral(bundle) == text, "a bundle in another form");
    fuzz::require(bundle.serial > 0 && !bundle.roots.empty(), "a bundle without serial or roots");
    static_cast<void>(trust::show_collateral(bundle));
    static_cast<void>(trust::make_trust(bundle, sha256(input)));
  });
}
