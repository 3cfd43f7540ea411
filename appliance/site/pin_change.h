// SPDX-License-Identifier: Apache-2.0
// A new PIN for the token's user. pin_login.h tells where the new one lies meanwhile.
#pragma once

#include "appliance/site/appliance.h"
#include "base/secret.h"

namespace qpcseal::site {

// One try. Where site.toml names a file it gets the new PIN. Error{Token} for a token that refuses it; the
// message names the file that has the new PIN where the token may have it.
void change_pin(Appliance& appliance, const SecretBuffer& old_pin, const SecretBuffer& new_pin);

}  // namespace qpcseal::site
