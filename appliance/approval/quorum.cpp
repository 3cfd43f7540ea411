// SPDX-License-Identifier: Apache-2.0
#include "appliance/approval/quorum.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/text_file.h"
#include "encoding/file_kind.h"
#include "policy/officers_needed.h"

namespace qpcseal::approval {

namespace {

using encoding::Json;

constexpr std::size_t kNonceSize = 32;  // bytes

struct ParsedRequest {
  std::string text;
  ApprovalRequest request;
};

Error missing(const std::string& why, const std::string& hint = "", const Findings& findings = {}) {
  return {ErrorKind::ApprovalsMissing, why, hint, findings};
}

std::string quoted(const std::string& text) { return "'" + text + "'"; }

unsigned threshold_of(const policy::Policy& policy, const std::string& operation) {
  return static_cast<unsigned>(policy::officers_needed(policy, operation).value_or(0));
}

// "mek is "a#1", the act has "b#1"" for the first parameter that differs.
std::string first_difference(const Json& asked, const Json& done) {
  for (const auto& [name, value] : done.items()) {
    const auto found = asked.find(name);
    if (found == asked.end()) return "it lacks parameter " + quoted(name);
    if (*found != value)
      return "parameter " + quoted(name) + " is " + found->dump() + " in the request, " + value.dump() +
             " in the act";
  }
  for (const auto& [name, value] : asked.items())
    if (!done.contains(name)) return "it has parameter " + quoted(name) + ", which the act has not";
  return "its parameters differ";
}

// `other`: the operation of a request that was given; empty: none was.
Error no_request(const std::string& operation, unsigned threshold, const std::string& other) {
  return missing(quoted(operation) + " needs the approval of " + std::to_string(threshold) +
                     " officers, and no request for it was given" +
                     (other.empty() ? "" : ": the one that was given is for " + quoted(other)),
                 "'qpcseal request new " + operation + "' makes one; then --request FILE --approval SIG...");
}

Error expired(const ApprovalRequest& request, UnixTime now) {
  return missing(
      "the request expired at " + format_time(request.not_after) + ", now it is " + format_time(now),
      "'qpcseal request new " + request.operation + "' makes another one");
}

Error too_few(const std::string& operation, unsigned threshold, const Tally& tallied) {
  return missing(quoted(operation) + " needs the approval of " + std::to_string(threshold) +
                     " officers; what counts is " + std::to_string(tallied.approvers.size()) + " (" +
                     (tallied.approvers.empty() ? "nobody" : approver_names(tallied.approvers)) + ")",
                 "", tallied.findings);
}

const ParsedRequest& find_request(const std::vector<ParsedRequest>& candidates, const std::string& operation,
                                  const Json& parameters, unsigned threshold) {
  const ParsedRequest* other = nullptr;
  for (const ParsedRequest& each : candidates) {
    if (each.request.operation != operation) continue;
    if (each.request.parameters == parameters) return each;
    other = &each;
  }
  if (other == nullptr)
    throw no_request(operation, threshold, candidates.empty() ? "" : candidates.front().request.operation);
  throw missing("the request is for another " + quoted(operation) + ": " +
                first_difference(other->request.parameters, parameters));
}

void expect_same(const char* what, const std::string& asked, const std::string& found) {
  if (asked != found)
    throw missing("the request names another " + std::string(what) + ": " + asked + ", here it is " + found);
}

void check_facts(const ApprovalContext& situation, const ApprovalRequest& request, unsigned threshold) {
  const Json& genesis = situation.state.genesis;
  expect_same("appliance", request.appliance_id, encoding::text_member(genesis, "appliance_id"));
  expect_same("appliance (aud)", request.aud, encoding::text_member(genesis, "aud"));
  expect_same("token", request.token_serial,
              encoding::text_member(encoding::member(genesis, "token"), "serial"));
  expect_same("policy", request.policy_digest, situation.state.policy_digest);
  expect_same("officers file", request.officers_digest, situation.state.officers_digest);
  expect_same("threshold", std::to_string(request.threshold), std::to_string(threshold));
}

void check_log_head(const ApprovalContext& situation, const ApprovalRequest& request) {
  if (request.log_size == 0 || !situation.was_head(request.log_size, request.log_root))
    throw missing("the request names a log of " + std::to_string(request.log_size) +
                  " entries that this log does not begin with");
}

// A release that was cut short goes on under the request that it began with: its reports serve once each.
// Another act that failed may be done again under its own.
bool goes_on(const ApprovalContext& situation, const ParsedRequest& candidate) {
  const auto is_among = [&](const auto& requests) {
    const auto found = requests.find(candidate.request.nonce);
    return found != requests.end() && found->second == sha256_hex(candidate.text);
  };
  if (candidate.request.operation == "release") return is_among(situation.state.approvals_used);
  return is_among(situation.state.approvals_again);
}

std::string use_of(const ApprovalContext& situation, const std::string& nonce) {
  const std::string use = situation.used_by ? situation.used_by(nonce) : "";
  return use.empty() ? "used before; each one serves once" : use;
}

void check_use(const ApprovalContext& situation, const ParsedRequest& candidate) {
  const ApprovalRequest& request = candidate.request;
  if (situation.state.approvals_used.contains(request.nonce) && !goes_on(situation, candidate))
    throw missing("the request was " + use_of(situation, request.nonce), "make a new one");
  if (situation.now < request.not_before)
    throw missing("the request is valid from " + format_time(request.not_before) + ", now it is " +
                  format_time(situation.now));
  if (situation.now >= request.not_after) throw expired(request, situation.now);
}

Json record_of(const ParsedRequest& candidate, const std::vector<Approver>& approvers, UnixTime now) {
  return {{"nonce", candidate.request.nonce},
          {"request_sha256", sha256_hex(candidate.text)},
          {"time", static_cast<std::uint64_t>(now)},
          {"approvers", as_json(approvers)}};
}

std::vector<ParsedRequest> parse_all(const std::vector<std::string>& requests) {
  std::vector<ParsedRequest> out;
  for (const std::string& text : requests) out.push_back({text, parse_approval_request(text)});
  return out;
}

// All but the act's parameters.
ApprovalResult judge_request(const ApprovalContext& situation, const ParsedRequest& candidate,
                             const std::vector<std::string>& signatures) {
  const std::string& operation = candidate.request.operation;
  const unsigned threshold = threshold_of(situation.policy, operation);
  check_facts(situation, candidate.request, threshold);
  check_log_head(situation, candidate.request);
  check_use(situation, candidate);
  const auto tally = [&](const std::string& text) {
    return tally_signatures(situation.officers, approval_namespace(operation), view(text), signatures,
                            situation.now);
  };
  Tally against = tally(rejection_text(candidate.text));
  if (!against.approvers.empty())
    return {candidate.text, counted(signatures, against.approvers), record_of(candidate, {}, situation.now),
            std::move(against.approvers)};
  const Tally tallied = tally(candidate.text);
  if (tallied.approvers.size() < threshold) throw too_few(operation, threshold, tallied);
  return {candidate.text,
          counted(signatures, tallied.approvers),
          record_of(candidate, tallied.approvers, situation.now),
          {}};
}

}  // namespace

ApprovalResult judge_approval(const ApprovalContext& situation, const std::string& operation,
                              const Json& parameters, const std::vector<std::string>& requests,
                              const std::vector<std::string>& signatures) {
  const std::vector<ParsedRequest> candidates = parse_all(requests);
  return judge_request(
      situation, find_request(candidates, operation, parameters, threshold_of(situation.policy, operation)),
      signatures);
}

void require_fits(const ApprovalContext& situation, const ApprovalRequest& request) {
  check_facts(situation, request, threshold_of(situation.policy, request.operation));
  check_log_head(situation, request);
}

void require_candidate(const ApprovalContext& situation, const std::string& operation,
                       const std::vector<std::string>& requests, const std::vector<std::string>& signatures) {
  const std::vector<ParsedRequest> candidates = parse_all(requests);
  std::optional<Error> why;
  for (const ParsedRequest& each : candidates) {
    if (each.request.operation != operation) continue;
    try {
      static_cast<void>(judge_request(situation, each, signatures));
      return;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::ApprovalsMissing) throw;
      why = error;
    }
  }
  if (why) throw Error(*why);
  throw no_request(operation, threshold_of(situation.policy, operation),
                   candidates.empty() ? "" : candidates.front().request.operation);
}

ApprovalRequest make_approval_request(const audit::LogCopy& log, const policy::Policy& policy,
                                      const std::string& operation, Json parameters, UnixTime now,
                                      std::int64_t lifetime, Random& random) {
  const auto needed = policy::officers_needed(policy, operation);
  if (!needed)
    throw Error(ErrorKind::Denied,
                "the policy does not allow '" + operation + "': [approvals] does not name it");
  if (*needed == 0) throw Error(ErrorKind::Usage, "'" + operation + "' needs no approval under this policy");
  const audit::State& state = log.state;
  ApprovalRequest out;
  out.operation = operation;
  out.parameters = std::move(parameters);
  out.appliance_id = encoding::text_member(state.genesis, "appliance_id");
  out.aud = encoding::text_member(state.genesis, "aud");
  out.token_serial = encoding::text_member(encoding::member(state.genesis, "token"), "serial");
  out.policy_digest = state.policy_digest;
  out.officers_digest = state.officers_digest;
  out.log_size = log.checkpoint.size;
  out.log_root = to_hex(log.checkpoint.root);
  out.nonce = to_hex(random.bytes(kNonceSize));
  out.not_before = now;
  out.not_after = now + lifetime;
  out.threshold = static_cast<unsigned>(*needed);
  return out;
}

Officers read_officers(const std::filesystem::path& file, const audit::State& state) {
  if (state.officers_digest.empty())
    throw missing("this appliance has no officers, so nobody can approve",
                  "a demonstration may run without; its policy then wants 0 approvals");
  const std::string text = read_text_file(file, kMaxOfficersFile);
  Officers officers = parse_officers(text);
  if (to_hex(officers.digest) != state.officers_digest)
    throw Error(ErrorKind::Denied,
                file.string() + " is not the officers file in the log: found " + to_hex(officers.digest) +
                    ", logged " + state.officers_digest,
                "move it away: 'qpcseal mek list' puts back its copy in approvals/");
  return officers;
}

namespace {

std::vector<std::string> read_texts(const std::vector<std::filesystem::path>& paths, std::size_t limit,
                                    std::string_view wanted) {
  std::vector<std::string> out;
  for (const auto& path : paths) {
    out.push_back(read_plain_text(path, limit));
    if (out.back().empty())
      throw Error(ErrorKind::Malformed,
                  path.string() + " is empty, and no " + std::string(wanted.substr(wanted.find(' ') + 1)));
    const std::string_view kind = encoding::file_kind(view(out.back()));
    if (!kind.empty() && kind != wanted)
      with_context(path.string(), [&] { throw encoding::other_kind(kind, wanted); });
  }
  return out;
}

}  // namespace

std::vector<std::string> read_requests(const std::vector<std::filesystem::path>& paths) {
  return read_texts(paths, kMaxApprovalRequest, "a request for approval");
}

std::vector<std::string> read_signatures(const std::vector<std::filesystem::path>& paths) {
  return read_texts(paths, kMaxSshsig, "an SSH signature");
}

std::vector<std::string> counted(const std::vector<std::string>& signatures,
                                 const std::vector<Approver>& approvers) {
  std::vector<std::string> out;
  for (const Approver& approver : approvers) {
    const auto signature = std::ranges::find_if(
        signatures, [&](const std::string& text) { return sha256_hex(text) == approver.signature_sha256; });
    if (signature != signatures.end()) out.push_back(*signature);
  }
  return out;
}

Json as_json(const std::vector<Approver>& approvers) {
  Json out = Json::array();
  for (const auto& approver : approvers)
    out.push_back({{"name", approver.name},
                   {"fingerprint", approver.fingerprint},
                   {"signature_sha256", approver.signature_sha256}});
  return out;
}

std::string approver_names(const std::vector<Approver>& approvers) {
  std::vector<std::string> names;
  for (const auto& approver : approvers) names.push_back(approver.name);
  return join(names);
}

Json rejection_data(const std::string& operation, const std::string& nonce, const std::string& request_sha256,
                    const std::vector<Approver>& rejecters) {
  return {{"operation", operation},
          {"nonce", nonce},
          {"request_sha256", request_sha256},
          {"rejecters", as_json(rejecters)}};
}

}  // namespace qpcseal::approval
