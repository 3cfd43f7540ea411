// SPDX-License-Identifier: Apache-2.0
// The policies and officers files of a bundle, from the genesis to the verdict. Each must have the signatures
// that the policy and the officers in force before it require.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "appliance/approval/approval_request.h"
#include "appliance/verdict/signature_parts.h"
#include "appliance/verdict/signatures.h"

namespace qpcseal::verdict {

class Authority {
 public:
  // `json` has the members "policies" and "officers". Error{Malformed}; Error{LogDamaged} where a file is not
  // the one that its entry names, or was signed by others or by fewer than it took; Error{ApprovalsMissing}.
  Authority(const encoding::Json& json, const SignatureSubject& subject);

  // Those in force when entry `seq` was written. Error{LogDamaged} where there are none.
  [[nodiscard]] const approval::Officers& officers_at(std::uint64_t seq) const;
  [[nodiscard]] const policy::Policy& policy_at(std::uint64_t seq) const { return file_at(seq).policy; }
  // Who signed the policy of the verdict: names.
  [[nodiscard]] const std::vector<std::string>& policy_signers() const { return policies_.back().signers; }

  // The names of the approvers that the intent `entry` records, whose signatures of `text` are verified
  // again. `what` names the file in an error. Error{LogDamaged} where others signed, or somebody where it
  // records none.
  [[nodiscard]] std::vector<std::string> recorded_signers(const audit::Entry& entry,
                                                          std::string_view sig_namespace,
                                                          const std::string& text,
                                                          const std::vector<std::string>& signatures,
                                                          const char* what) const;

  // Verifies the approval that `entry` carries again, by the facts of that time. Returns the approvers'
  // names. Error{LogDamaged}.
  [[nodiscard]] std::vector<std::string> judge_again(const encoding::Json& part, const audit::Entry& entry,
                                                     const approval::ApprovalRequest& request) const;

 private:
  struct PolicySince {
    std::uint64_t since = 0;
    std::string text;
    policy::Policy policy;
    std::vector<std::string> signers;
  };

  void add_first_policy(const encoding::Json& item);
  void add_policy(const encoding::Json& item, const audit::Entry& entry);
  void add_first_officers(const encoding::Json& item);
  void add_officers(const encoding::Json& item, const audit::Entry& entry);
  void check_change(const encoding::Json& item, const audit::Entry& result) const;
  void check_number(const policy::Policy& next, std::size_t signers) const;
  [[nodiscard]] const PolicySince& file_at(std::uint64_t seq) const;
  [[nodiscard]] audit::Entry proven_entry(const encoding::Json& item) const;
  [[nodiscard]] std::string appliance() const;

  const SignatureSubject& subject_;
  std::vector<PolicySince> policies_;
  std::vector<OfficersSince> officers_;
};

}  // namespace qpcseal::verdict
