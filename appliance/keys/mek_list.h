// SPDX-License-Identifier: Apache-2.0
// Between mek_find.cpp and contents.cpp: which objects are MEKs, and their order.
#pragma once

#include <optional>
#include <vector>

#include "appliance/keys/mek.h"

namespace qpcseal::keys {

// Nothing where label and id are not those of a MEK.
std::optional<Mek> mek_from(pkcs11::Session& session, CK_OBJECT_HANDLE handle);
// By name, generation, id.
void sort_meks(std::vector<Mek>& meks);

}  // namespace qpcseal::keys
