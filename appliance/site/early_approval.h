// SPDX-License-Identifier: Apache-2.0
// Says that officers' approval is missing before the lock is taken and a PIN is asked for.
//
// Nothing is decided by it. Policy and officers are read from the home as they lie there, without the log
// that names them; Appliance::approve() asks again, and compares everything.
#pragma once

#include <string>
#include <vector>

#include "appliance/approval/quorum.h"
#include "appliance/site/home.h"

namespace qpcseal::site {

// Error{ApprovalsMissing} where the home's policy asks officers for one of `operations`, and the command was
// not given a request for it that could serve, with enough signatures. A home that cannot be read is left to
// the start that follows.
void require_approvals(const Home& home, const approval::ApprovalFiles& given, UnixTime now,
                       const std::vector<std::string>& operations);

}  // namespace qpcseal::site
