// SPDX-License-Identifier: Apache-2.0
// The part of the morning look (health.h) that needs the token.
#pragma once

#include <vector>

#include "appliance/site/health.h"
#include "pkcs11/session.h"

namespace qpcseal::site {

// Checks that the token, logged in, has the log's key and the seal key of this appliance, and that its anchor
// fits the log. A token that was initialized anew has its old label, and none of these. Throws nothing.
std::vector<HealthCheck> look_at_token(pkcs11::Session& session, const Home& home);

}  // namespace qpcseal::site
