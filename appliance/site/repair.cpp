// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/repair.h"

#include <algorithm>

#include "appliance/approval/standing.h"
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

constexpr std::size_t kMaxProgramFile = std::size_t{512} << 20;  // bytes

audit::PinnedFile pin(const std::string& path) {
  if (!audit::is_program_path(path))
    throw Error(ErrorKind::Usage,
                "'" + path + "' is no plain absolute path that a program can have in its sandbox");
  return {path, sha256_hex(read_file(path, kMaxProgramFile))};
}

audit::PinnedProgram pin_program(const std::string& name, const std::vector<std::string>& paths) {
  if (!audit::is_program_name(name))
    throw Error(ErrorKind::Usage, "'" + name + "' is no name of a program: letters, digits, '.', '_', '-'");
  if (paths.size() > audit::kMaxProgramFiles + 1)
    throw Error(ErrorKind::Usage, "program '" + name + "' has more than 12 files");
  audit::PinnedProgram out{name, pin(paths.front()), {}};
  for (std::size_t i = 1; i < paths.size(); ++i) out.files.push_back(pin(paths[i]));
  std::ranges::sort(out.files, {}, &audit::PinnedFile::path);
  for (std::size_t i = 0; i < out.files.size(); ++i)
    if (out.files[i].path == out.program.path || (i > 0 && out.files[i].path == out.files[i - 1].path))
      throw Error(ErrorKind::Usage, out.files[i].path + " is given twice");
  return out;
}

void change_programs(audit::SiteFacts& facts, const SiteChange& change) {
  const auto drop = [&](const std::string& name) {
    return std::erase_if(facts.programs, [&](const auto& p) { return p.name == name; });
  };
  for (const std::string& name : change.forget_programs)
    if (drop(name) == 0) throw Error(ErrorKind::Usage, "the site's facts pin no program '" + name + "'");
  for (const auto& [name, paths] : change.programs) {
    drop(name);
    facts.programs.push_back(pin_program(name, paths));
  }
  std::ranges::sort(facts.programs, {}, &audit::PinnedProgram::name);
  if (facts.programs.size() > audit::kMaxPrograms) throw Error(ErrorKind::Usage, "more than 6 programs");
}

std::string image_fact(const std::string& text) {
  if (text == kNoImage) return "";
  if (encoding::is_hex(text, audit::kImageSize)) return text;
  throw Error(ErrorKind::Usage, "'" + text + "' is no root hash of an image: 64 hex digits in lower case");
}

// One line for people: "NAME=PATH SHA256 +PATH SHA256".
std::string words_of(const std::vector<audit::PinnedProgram>& programs) {
  std::string out;
  for (const audit::PinnedProgram& each : programs) {
    out += (out.empty() ? "" : ", ") + each.name + "=" + each.program.path + " " + each.program.sha256;
    for (const audit::PinnedFile& file : each.files) out += " +" + file.path + " " + file.sha256;
  }
  return out.empty() ? "none" : out;
}

}  // namespace

audit::SiteFacts changed(audit::SiteFacts facts, const SiteChange& change, const Home& home) {
  if (change.module) facts.module_sha256 = to_hex(pkcs11::Module::digest_of(*change.module));
  if (change.module_arguments) facts.module_arguments = without_home(*change.module_arguments, home);
  if (change.accept) facts.accept = *change.accept;
  if (change.anchor) facts.anchor = *change.anchor;
  if (change.clock_days) facts.clock_days = *change.clock_days;
  change_programs(facts, change);
  if (change.swap) facts.swap = *change.swap;
  if (change.image) facts.image = image_fact(*change.image);
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
  if (now.programs != before.programs) out["programs"] = words_of(now.programs);
  if (now.swap != before.swap) out["swap"] = now.swap ? "true" : "false";
  if (now.image != before.image) out["image"] = now.image.empty() ? std::string(kNoImage) : now.image;
  return out;
}

Json anchor_parameters(const std::string& anchor, const tlog::Checkpoint& log) {
  return {{"anchor", anchor}, {"log_size", log.size}, {"log_root", to_hex(log.root)}};
}

std::optional<approval::ApprovalResult> judge_repair(const Home& home, const audit::LogCopy& log,
                                                     const approval::ApprovalFiles& files, bool yes,
                                                     UnixTime now, const std::string& operation,
                                                     const Json& parameters) {
  const audit::State& state = log.state;
  const policy::Policy policy = policy_in_force(home, state);
  if (state.officers_digest.empty()) {
    agree_alone(yes, operation);
    return std::nullopt;
  }
  if (!state.genesis_accepted && !encoding::bool_member(state.genesis, "insecure_demo"))
    throw Error(ErrorKind::ApprovalsMissing, "the officers have not signed the genesis yet");
  const std::vector<std::string> requests = approval::read_requests(files.requests);
  const approval::Officers officers = approval::read_officers(home.officers(), state);
  const auto was_head = [&](std::uint64_t size, const std::string& root) {
    return size <= log.tree.size() && to_hex(log.tree.root(size)) == root;
  };
  const auto used_by = [&](const std::string& nonce) { return approval::words_of_use(log, nonce); };
  return approval::judge_approval({state, was_head, policy, officers, now, used_by}, operation, parameters,
                                  requests, approval::read_signatures(files.signatures));
}

Json approve_repair(const Home& home, const audit::LogCopy& log, const approval::ApprovalFiles& files,
                    bool yes, UnixTime now, const std::string& operation, const Json& parameters) {
  const auto judgement = judge_repair(home, log, files, yes, now, operation, parameters);
  if (!judgement) return nullptr;
  archive_approval(home, judgement->request, ".request", judgement->signatures);
  if (!judgement->rejecters.empty())
    throw Error(ErrorKind::ApprovalsMissing,
                "'" + operation + "' was rejected by " + approval::approver_names(judgement->rejecters));
  return judgement->record;
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
