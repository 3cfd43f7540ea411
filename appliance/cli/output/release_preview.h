// SPDX-License-Identifier: Apache-2.0
// What an officer reads of a release before they sign: a line for each card.
#pragma once

#include <string>
#include <vector>

#include "appliance/approval/approval_request.h"
#include "base/clock.h"

namespace qpcseal::cli {

struct PreviewInputs {
  std::vector<std::string> reports;  // as report_paths() takes them
  std::string policy, trust;         // files of the officer's own; empty: the home's, if it is here
};

// For each report, in the request's order: host and device (where the log is at hand), UEID, class, and the
// verdict under the policy that the request names. Without the policy or the trust material at hand it says
// that nobody looked. Without the log each challenge is taken as fresh, and the text says so. Error{Denied}
// where the policy is another one than the request's.
std::string release_preview(const approval::ApprovalRequest& request, const PreviewInputs& inputs,
                            UnixTime now);

}  // namespace qpcseal::cli
