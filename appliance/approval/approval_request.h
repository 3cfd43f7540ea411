// SPDX-License-Identifier: Apache-2.0
// A request for approval: the text that officers read, and sign, before an act. docs/FORMAT.md section 7.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "encoding/json.h"
#include "tlog/merkle.h"

namespace qpcseal::approval {

inline constexpr std::size_t kMaxApprovalRequest = 65536;  // bytes

struct ApprovalRequest {
  std::string operation;
  encoding::Json parameters = encoding::Json::object();  // what exactly is to be done
  std::string appliance_id;
  std::string aud;  // hex, 16 bytes: the appliance, from its genesis
  std::string token_serial;
  std::string policy_digest, officers_digest;  // hex, SHA-256 of the files in force
  std::uint64_t log_size = 0;                  // an earlier state of the log: entries,
  std::string log_root;                        // and root, hex
  std::string nonce;                           // hex, 32 bytes: the request serves once
  UnixTime not_before = 0, not_after = 0;      // valid in [not_before, not_after)
  unsigned threshold = 0;                      // officers who must sign
};

// Printable ASCII and line feeds only. Error{Malformed} where a field cannot be written.
std::string encode_approval_request(const ApprovalRequest& request);
// Only what encode_approval_request() writes. Error{Malformed}.
ApprovalRequest parse_approval_request(std::string_view text);
[[nodiscard]] bool is_approval_request(std::string_view text);

// The namespace in which a request for `operation` is signed: officers@qpcseal for a change of the officers,
// else approval@qpcseal.
std::string_view approval_namespace(std::string_view operation);

// What an officer signs, in the same namespace, to refuse a request: it names the request's SHA-256.
std::string rejection_text(std::string_view request);

}  // namespace qpcseal::approval
