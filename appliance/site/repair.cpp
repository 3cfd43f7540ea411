// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/repair.h"

#include <algorithm>

#include "appliance/keys/mek.h"
#include "appliance/site/archive.h"
#include "appliance/site/in_force.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "pkcs11/module.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

// The file may be the next policy already, where a run was cut short while it was installed: the home keeps
// the one that the log names.
policy::Policy policy_in_force(const Home& home, const audit::State& state) {
  try {
    return read_policy(home, state);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Denied && error.kind() != ErrorKind::Io) throw;
    const std::string text = archive_get(home, state.policy_digest, ".signed");
    if (sha256_hex(text) != state.policy_digest) throw;
    return policy::parse_policy(text);
  }
}

void agree_alone(bool yes, const std::string& operation) {
  if (!yes)
    throw Error(ErrorKind::Usage, "'" + operation + "' needs officers, and this demonstration has none",
                "--yes does it without; read in docs/OPERATIONS.md what it costs first");
}

}  // namespace

audit::SiteFacts changed(audit::SiteFacts facts, const SiteChange& change, const Home& home) {
  if (change.module) facts.module_sha256 = to_hex(pkcs11::Module::digest_of(*change.module));
  if (change.module_arguments) facts.module_arguments = without_home(*change.module_arguments, home);
  if (change.accept) facts.accept = *change.accept;
  if (change.anchor) facts.anchor = *change.anchor;
  if (change.clock_days) facts.clock_days = *change.clock_days;
  check_facts(facts);
  return facts;
}

Json request_parameters(const audit::SiteFacts& before, const audit::SiteFacts& now) {
  Json out = Json::object();
  if (now.module_sha256 != before.module_sha256) out["module_sha256"] = now.module_sha256;
  if (now.module_arguments != before.module_arguments) out["module_arguments"] = now.module_arguments;
  if (now.accept != before.accept) out["accept"] = join(now.accept);
  if (now.anchor != before.anchor) out["anchor"] = now.anchor ? "true" : "false";
  if (now.clock_days != before.clock_days) out["clock_days"] = now.clock_days;
  return out;
}

Json anchor_parameters(const std::string& anchor, const tlog::Checkpoint& log) {
  return {{"anchor", anchor}, {"log_size", log.size}, {"log_root", to_hex(log.root)}};
}

Json approve_repair(const Home& home, const audit::LogCopy& log, const approval::ApprovalFiles& files,
                    bool yes, UnixTime now, const std::string& operation, const Json& parameters) {
  const audit::State& state = log.state;
  const policy::Policy policy = policy_in_force(home, state);
  if (state.officers_digest.empty()) {
    agree_alone(yes, operation);
    return nullptr;
  }
  if (!state.genesis_accepted && !encoding::bool_member(state.genesis, "insecure_demo"))
    throw Error(ErrorKind::ApprovalsMissing, "the officers have not signed the genesis yet");
  std::vector<std::string> requests;
  for (const auto& path : files.requests)
    requests.push_back(read_text_file(path, approval::kMaxApprovalRequest));
  const approval::Officers officers = approval::read_officers(home.officers(), state);
  const auto was_head = [&](std::uint64_t size, const std::string& root) {
    return size <= log.tree.size() && to_hex(log.tree.root(size)) == root;
  };
  const approval::ApprovalResult judgement =
      approval::judge_approval({state, was_head, policy, officers, now}, operation, parameters, requests,
                               approval::read_signatures(files.signatures));
  archive_approval(home, judgement.request, ".request", judgement.signatures);
  if (!judgement.rejecters.empty())
    throw Error(ErrorKind::ApprovalsMissing,
                "'" + operation + "' was rejected by " + approval::approver_names(judgement.rejecters));
  return judgement.record;
}

AgreedSite agree_to_site(const Home& home, const approval::ApprovalFiles& files, const Repair& repair,
                         UnixTime now) {
  const audit::LogCopy log = audit::read_log(home.log(), std::nullopt);
  AgreedSite out{log.state.site, changed(log.state.site, *repair.site, home), nullptr};
  if (out.now == out.before) throw Error(ErrorKind::Usage, "these are the facts in force: nothing changes");
  out.approval =
      approve_repair(home, log, files, repair.yes, std::max({now, log.state.last_time, build_time()}),
                     "site-change", request_parameters(out.before, out.now));
  return out;
}

}  // namespace qpcseal::site
