// The digest that the site pins its PKCS #11 module to; pkcs11::Module refuses any other file.
#pragma once

#include "appliance/release/home.h"
#include "base/digest.h"

namespace qpcseal::release {

// Error{Malformed} where site.toml has no SHA-256.
Sha256Digest pinned_digest(const Site& site);

}  // namespace qpcseal::release
