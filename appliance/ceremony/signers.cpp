// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/signers.h"

#include "appliance/approval/quorum.h"
#include "base/error.h"

namespace qpcseal::ceremony {

using encoding::Json;

Signed check_signatures(const Plan& plan, const site::Home& home, const audit::State& state,
                        const std::vector<std::string>& signatures, UnixTime now) {
  if (!state.genesis_accepted && !encoding::bool_member(state.genesis, "insecure_demo"))
    throw Error(ErrorKind::ApprovalsMissing, "the officers have not signed the genesis yet");
  if (state.officers_digest.empty()) {
    if (plan.threshold > 0)
      throw Error(ErrorKind::ApprovalsMissing,
                  "the plan wants " + std::to_string(plan.threshold) + " officers, this appliance has none");
    return {};
  }
  const approval::Officers officers = approval::read_officers(home.officers(), state);
  const auto tally = [&](const std::vector<std::string>& texts) {
    return approval::tally_signatures(officers, kPlanNamespace, view(plan.text), texts, now);
  };
  Signed out{tally(signatures), {}};
  const auto& approvers = out.tally.approvers;
  if (approvers.size() < plan.threshold)
    throw Error(ErrorKind::ApprovalsMissing,
                "the plan wants " + std::to_string(plan.threshold) + " officers, " +
                    std::to_string(approvers.size()) + " signed it so that it counts",
                "'qpcseal approve PLAN', or ssh-keygen -Y sign -n plan@qpcseal -f KEY PLAN",
                out.tally.findings);
  for (const std::string& text : signatures) {  // the approvers are in the order of their signatures
    const auto alone = tally({text}).approvers;
    if (out.signatures.size() < approvers.size() && !alone.empty() &&
        alone.front().fingerprint == approvers[out.signatures.size()].fingerprint)
      out.signatures.push_back(text);
  }
  return out;
}

std::vector<approval::Approver> find_rejecters(const Plan& plan, const site::Home& home,
                                               const audit::State& state,
                                               const std::vector<std::string>& signatures, UnixTime now) {
  if (state.officers_digest.empty()) return {};
  const std::string text = approval::rejection_text(plan.text);
  return approval::tally_signatures(approval::read_officers(home.officers(), state), kPlanNamespace,
                                    view(text), signatures, now)
      .approvers;
}

void check_signers(const Plan& plan, const site::Home& home, const audit::State& state, const Json& begin,
                   UnixTime now) {
  if (state.officers_digest.empty()) return;
  const approval::Officers officers = approval::read_officers(home.officers(), state);
  const Json &signers = encoding::member(begin, "approvers"),
             &signatures = encoding::member(begin, "signatures");
  std::string gone;
  std::size_t left = 0;
  for (std::size_t i = 0; i < signers.size(); ++i) {
    const std::string& name = encoding::text_member(signers.at(i), "name");
    const approval::Tally one = approval::tally_signatures(officers, kPlanNamespace, view(plan.text),
                                                           {signatures.at(i).get<std::string>()}, now);
    if (!one.approvers.empty() && one.approvers.front().name == name) {
      ++left;
    } else {
      gone += (gone.empty() ? "" : ", ") + name;
      if (!one.findings.empty()) gone += " (" + one.findings.front().id + ")";
    }
  }
  if (left < plan.threshold)
    throw Error(ErrorKind::ApprovalsMissing,
                "the plan wants " + std::to_string(plan.threshold) + " officers; of those who signed it " +
                    std::to_string(left) + " count still, and no longer " + gone,
                "'qpcseal ceremony resume --abandon' ends it; a new plan needs new signatures");
}

}  // namespace qpcseal::ceremony
