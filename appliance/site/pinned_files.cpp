// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/pinned_files.h"

#include <algorithm>

#include "appliance/site/archive.h"
#include "appliance/site/logged_act.h"
#include "base/current_error.h"
#include "base/digest.h"
#include "base/file.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

constexpr std::size_t kMaxPinnedFile = std::size_t{4} << 20;  // bytes

std::filesystem::path file_of(const Home& home, const std::string& kind) {
  if (kind == "trust") return home.collateral();
  return kind == "policy" ? home.policy() : home.officers();
}

// False where there is no such file: a first bundle that was never written.
bool holds(const std::filesystem::path& file, const std::string& digest) {
  return std::filesystem::exists(file) && sha256_hex(read_text_file(file, kMaxPinnedFile)) == digest;
}

// False also where it cannot be read.
bool surely_holds(const std::filesystem::path& file, const std::string& digest) noexcept {
  try {
    return holds(file, digest);
  } catch (...) {
    return false;
  }
}

approval::Tally count(const approval::Officers& officers, const SignedFile& file,
                      const std::vector<std::string>& signatures, int needed, UnixTime now) {
  approval::Tally tally =
      approval::tally_signatures(officers, file.sig_namespace, view(file.text), signatures, now);
  if (tally.approvers.size() < static_cast<std::size_t>(needed))
    throw Error(
        ErrorKind::ApprovalsMissing,
        "the file must be signed by " + std::to_string(needed) + " officers, in namespace " +
            std::string(file.sig_namespace) + "; what counts is " + std::to_string(tally.approvers.size()),
        "'qpcseal policy sign' or 'trust sign', or ssh-keygen -Y sign -n " + std::string(file.sig_namespace),
        tally.findings);
  return tally;
}

void refuse_expired(const policy::Policy& policy, UnixTime now) {
  if (now >= policy.expires.value)
    throw Error(ErrorKind::Denied, "the policy expired at " + format_time(policy.expires.value));
}

// What officers signed for one appliance does not count on another with the same officers.
void refuse_other_appliance(const policy::Policy& policy, const PolicyPlace& place) {
  const std::string& named = policy.appliance.value;
  const bool any = named == policy::kAnyAppliance;
  if (named == place.appliance || (any && (place.is_first || place.insecure_demo))) return;
  const std::string line = policy.at(policy.appliance.line);
  throw Error(
      ErrorKind::Denied,
      (any ? "the policy names no appliance (" : "the policy is for the appliance '" + named + "' (") + line +
          "), and this one is '" + place.appliance + "'",
      "let the officers sign it with appliance = \"" + place.appliance + "\"",
      {{"POL-APPLIANCE", "appliance", named, place.appliance, line}});
}

// The namespace in which officers agree to the operation.
std::string_view namespace_of(const std::string& operation) {
  if (operation == "policy-change") return kPolicyNamespace;
  if (operation == "trust-import") return kTrustNamespace;
  return approval::approval_namespace(operation);
}

// A file that leaves too few people for what the policy asks would lock everybody out: the next officers file
// and the next policy need their signatures too.
void refuse_too_few(const policy::Policy& policy, const approval::Officers& officers, UnixTime now) {
  for (const auto& [operation, count] : policy.approvals) {
    const bool changes =
        operation == "policy-change" || operation == "officers-change" || operation == "trust-import";
    const int needed = std::max(count.value, changes ? 1 : 0);
    const std::string_view sig_namespace = namespace_of(operation);
    if (const std::size_t people = approval::count_signers(officers, sig_namespace, now);
        people < static_cast<std::size_t>(needed))
      throw Error(ErrorKind::Usage, "'" + operation + "' needs " + std::to_string(needed) + " officers (" +
                                        policy.at(count.line) + "), the officers file lists " +
                                        std::to_string(people) + " who may sign in " +
                                        std::string(sig_namespace) + " now");
  }
}

void refuse_weak_change(const policy::Policy& policy) {
  const int most = policy.greatest_threshold();
  for (const auto& [operation, count] : policy.approvals) {
    if (!policy.is_weak(operation)) continue;
    throw Error(ErrorKind::Denied,
                "'" + operation + "' needs " + std::to_string(count.value) + " officers (" +
                    policy.at(count.line) + "), and another operation " + std::to_string(most) +
                    ": by it those few could do what needs more",
                "write " + operation + " = " + std::to_string(most) + ", or more");
  }
}

}  // namespace

Signers check_signers(const Outlook& outlook, const SignedFile& file) {
  const auto named = outlook.policy.approvals_for(file.operation);
  if (!named)
    throw Error(ErrorKind::Denied,
                "the policy in force does not allow '" + file.operation + "': [approvals] does not name it");
  const int needed = outlook.insecure_demo() ? *named : std::max(file.least, *named);
  const std::vector<std::string> signatures = approval::read_signatures(outlook.approvals.signatures);
  approval::Tally tally;
  if (needed > 0)
    tally = count(approval::read_officers(outlook.home.officers(), outlook.state), file, signatures, needed,
                  outlook.now());
  std::vector<std::string> theirs = approval::counted(signatures, tally.approvers);
  return {std::move(tally.approvers), std::move(theirs)};
}

void replace_pinned(Appliance& appliance, const std::string& kind, Json intent, const std::string& text) {
  const std::filesystem::path file = file_of(appliance.home(), kind);
  std::string fault;
  const auto install = [&](const audit::Txn&) -> Json {
    try {
      write_file(file, view(text), Existing::Replace, 0600);
    } catch (...) {
      // Its name may have moved before the fault, as where the folder could not be synced: what is there
      // decides.
      const Error cause = current_error();
      if (!surely_holds(file, sha256_hex(text))) throw;
      fault = cause.what();
    }
    return {{"digest", sha256_hex(text)}};
  };
  const auto must_be_the_old_one = [&] {
    if (holds(file, sha256_hex(text))) throw Error(ErrorKind::Io, file.string() + " is the new one");
  };
  logged_act(appliance.log(), {kind, std::move(intent), install, must_be_the_old_one});
  if (!fault.empty()) throw Error(ErrorKind::DoneWithFault, "the file is in force and logged; " + fault);
}

void check_serial(std::uint64_t serial, std::uint64_t before) {
  const std::string is = "its serial is " + std::to_string(serial) + ", and must be ";
  if (serial <= before) throw Error(ErrorKind::Denied, is + "above " + std::to_string(before));
  if (serial - before > kMaxSerialStep)
    throw Error(ErrorKind::Denied, is + std::to_string(before + kMaxSerialStep) + " at most",
                "serials only rise: one that is mistyped would leave no room for those to come");
}

NextPolicy check_next_policy(const Outlook& outlook, const std::filesystem::path& file) {
  NextPolicy out{read_text_file(file, policy::kMaxPolicySize), 0, {}};
  const policy::Policy next = policy::parse_policy(out.text, file.string());
  const audit::State& state = outlook.state;
  out.serial = next.serial.value;
  check_serial(out.serial, state.policy_serial);
  std::optional<approval::Officers> officers;
  if (!state.officers_digest.empty()) officers = approval::read_officers(outlook.home.officers(), state);
  check_policy(next,
               {encoding::text_member(state.genesis, "appliance_id"), officers ? &*officers : nullptr,
                outlook.insecure_demo(), false},
               outlook.now());
  const int least = std::max(outlook.policy.greatest_threshold(), next.greatest_threshold());
  out.signers = check_signers(outlook, {"policy-change", kPolicyNamespace, out.text, least});
  return out;
}

Installed install_policy(Appliance& appliance, const std::filesystem::path& file) {
  NextPolicy next = check_next_policy(appliance.outlook(), file);
  archive_approval(appliance.home(), next.text, ".signed", next.signers.signatures);
  const std::string digest = sha256_hex(next.text);
  replace_pinned(
      appliance, "policy",
      {{"digest", digest}, {"serial", next.serial}, {"approvers", approval::as_json(next.signers.approvers)}},
      next.text);
  return {digest, next.serial, std::move(next.signers.approvers)};
}

std::string check_next_officers(const Outlook& outlook, const std::filesystem::path& file) {
  std::string text = read_text_file(file, approval::kMaxOfficersFile);
  const approval::Officers next = approval::parse_officers(text);
  refuse_too_few(outlook.policy, next, outlook.now());
  if (!outlook.insecure_demo()) refuse_weak_change(outlook.policy);
  return text;
}

Json officers_parameters(const std::string& text) { return {{"officers_sha256", sha256_hex(text)}}; }

Installed install_officers(Appliance& appliance, const std::filesystem::path& file) {
  const std::string text = check_next_officers(appliance.outlook(), file);
  const Json approval = appliance.approve("officers-change", officers_parameters(text));
  archive_approval(appliance.home(), text, ".officers", {});
  const std::string digest = sha256_hex(text);
  replace_pinned(appliance, "officers", with_approval({{"digest", digest}}, approval), text);
  return {digest, 0, {}};
}

void check_policy(const policy::Policy& policy, const PolicyPlace& place, UnixTime now) {
  if (place.is_first) check_serial(policy.serial.value, 0);
  refuse_expired(policy, now);
  refuse_other_appliance(policy, place);
  if (place.officers != nullptr) refuse_too_few(policy, *place.officers, now);
  if (!place.insecure_demo) refuse_weak_change(policy);
}

std::vector<approval::Approver> check_first_signatures(const policy::Policy& policy, const std::string& text,
                                                       const approval::Officers& officers,
                                                       const std::vector<std::string>& signatures,
                                                       UnixTime now) {
  return count(officers, {"policy-change", kPolicyNamespace, text}, signatures, policy.greatest_threshold(),
               now)
      .approvers;
}

bool is_pinned(const std::string& kind) { return kind == "policy" || kind == "officers" || kind == "trust"; }

bool was_installed(const Home& home, const audit::OpenIntent& intent) {
  return holds(file_of(home, intent.kind), encoding::text_member(intent.data, "digest"));
}

}  // namespace qpcseal::site
