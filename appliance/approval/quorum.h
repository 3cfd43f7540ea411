// SPDX-License-Identifier: Apache-2.0
// Verifies that officers approved an act: requests and signatures, compared with the act and the state.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "appliance/approval/approval_request.h"
#include "appliance/approval/officers.h"
#include "appliance/audit/read.h"
#include "base/random.h"
#include "policy/policy.h"

namespace qpcseal::approval {

// The files that a command was given, in any order. A signature counts for the request that it fits.
struct ApprovalFiles {
  std::vector<std::filesystem::path> requests, signatures;
};

// The facts with which requests are compared.
struct ApprovalContext {
  const audit::State& state;
  // Whether the log begins with so many entries, of this root (hex); the number is above 0.
  std::function<bool(std::uint64_t size, const std::string& root)> was_head;
  const policy::Policy& policy;
  const Officers& officers;  // the file in force
  UnixTime now = 0;
  // For the message about a request that was used: words_of_use() of the log (standing.h).
  std::function<std::string(const std::string& nonce)> used_by = {};
};

struct ApprovalResult {
  std::string request;                  // its text
  std::vector<std::string> signatures;  // that count, for it or against it
  encoding::Json record;                // {"nonce", "request_sha256", "time", "approvers"}
  std::vector<Approver> rejecters;      // officers who signed its rejection: then the act is refused
};

// The request for this act with enough signatures. Error{ApprovalsMissing} with the reason: no request for
// it, other parameters or facts, expired, used before, too few officers (findings say which signatures do not
// count); Error{Malformed} for a file that is no request.
ApprovalResult judge_approval(const ApprovalContext& situation, const std::string& operation,
                              const encoding::Json& parameters, const std::vector<std::string>& requests,
                              const std::vector<std::string>& signatures);

// Error{ApprovalsMissing} where the request does not fit the appliance, token, policy, officers and log. Its
// time, and whether it was used, are not looked at.
void require_fits(const ApprovalContext& situation, const ApprovalRequest& request);

// What can be said before the act's parameters are known: Error{ApprovalsMissing} where none of the requests
// could serve for `operation`, whatever its parameters. judge_approval() would refuse each of them too.
void require_candidate(const ApprovalContext& situation, const std::string& operation,
                       const std::vector<std::string>& requests, const std::vector<std::string>& signatures);

// A request for approval as of the log's present end. Error{Denied} where the policy does not allow the
// operation; Error{Usage} where no officer needs to agree.
ApprovalRequest make_approval_request(const audit::LogCopy& log, const policy::Policy& policy,
                                      const std::string& operation, encoding::Json parameters, UnixTime now,
                                      std::int64_t lifetime, Random& random);

// The officers in force: the file's digest must be the one in the log. Error{Denied} otherwise;
// Error{ApprovalsMissing} for an appliance without officers.
Officers read_officers(const std::filesystem::path& file, const audit::State& state);

std::vector<std::string> read_requests(const std::vector<std::filesystem::path>& paths);
std::vector<std::string> read_signatures(const std::vector<std::filesystem::path>& paths);
// Those of `signatures` by which these people signed. Others are ignored: they may be any file.
std::vector<std::string> counted(const std::vector<std::string>& signatures,
                                 const std::vector<Approver>& approvers);
// [{"name", "fingerprint", "signature_sha256"}...]
encoding::Json as_json(const std::vector<Approver>& approvers);
// "anna, bela"; empty for nobody.
std::string approver_names(const std::vector<Approver>& approvers);
// The log's entry of a rejection (kind rejection).
encoding::Json rejection_data(const std::string& operation, const std::string& nonce,
                              const std::string& request_sha256, const std::vector<Approver>& rejecters);

}  // namespace qpcseal::approval
