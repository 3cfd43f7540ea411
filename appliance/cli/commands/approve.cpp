// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "appliance/approval/standing.h"
#include "appliance/ceremony/plan.h"
#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/sign.h"
#include "appliance/cli/output/release_preview.h"
#include "appliance/cli/output/report_paths.h"
#include "appliance/models/seal_input.h"
#include "appliance/release/approval.h"
#include "appliance/site/genesis.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text_file.h"
#include "encoding/file_kind.h"

namespace qpcseal::cli {

namespace {

struct ApproveOptions {
  std::string path;
  PreviewInputs preview;
  std::vector<std::string> models;
  bool reject = false;
};

// A model that the officer has in hand is the one that is to be sealed.
void check_model(const approval::ApprovalRequest& request, const std::vector<std::string>& models) {
  if (request.operation != "seal")
    throw Error(ErrorKind::Usage, "--qpc is for requests of seals; this one is of " + request.operation);
  const models::SealInput input = models::read_seal_input({models.begin(), models.end()});
  if (encoding::text_member(request.parameters, "input_sha256") == to_hex(input.digest)) return;
  throw Error(ErrorKind::Denied,
              "the request is about another input than this, whose SHA-256 is " + to_hex(input.digest),
              "the request names " + encoding::text_member(request.parameters, "input_sha256"));
}

// What the officer has in hand is what the request is about.
void check_reports(const approval::ApprovalRequest& request, const std::vector<Sha256Digest>& reports) {
  const bool exposure = request.operation == "mek-expose";
  if (request.operation != "release" && !exposure)
    throw Error(ErrorKind::Usage,
                "--report is for requests of releases and exposures; this one is of " + request.operation);
  const auto& asked = request.parameters;
  const Bytes mek_id = from_hex(encoding::text_member(asked, "mek_id"));
  const auto held = release::release_parameters(encoding::text_member(asked, "mek"), mek_id, reports);
  const bool same = exposure
                        ? held.contains("reports") && encoding::member(asked, "reports") == held.at("reports")
                        : asked == held;
  if (!same)
    throw Error(ErrorKind::Denied,
                "the request is about other reports than these " + std::to_string(reports.size()),
                "same files, same order? A folder stands for its reports by name");
}

// The log of this machine, where it is the appliance's with this aud; nothing where it is not.
std::optional<audit::LogCopy> log_of(const std::string& aud) {
  const auto home = site::find_home();
  if (!home) return std::nullopt;
  try {
    audit::LogCopy log = audit::read_log(home->log(), std::nullopt);
    if (encoding::text_member(log.state.genesis, "aud") == aud) return log;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Io) throw;  // it may be another user's
  }
  return std::nullopt;
}

approval::Standing standing_of(const approval::ApprovalRequest& request, const std::string& text,
                               UnixTime now) {
  const auto log = log_of(request.aud);
  if (!log) {
    approval::Standing out = approval::standing_by_clock(request, now);
    out.note +=
        "NOT LOOKED AT: whether this request was used, and what it asks for is done. The appliance's log is "
        "not "
        "here.\n";
    return out;
  }
  const site::Home home = site::locate_home();
  const policy::Policy policy = site::read_policy(home, log->state);
  const approval::Officers officers = approval::read_officers(home.officers(), log->state);
  const auto was_head = [&](std::uint64_t size, const std::string& root) {
    return size <= log->tree.size() && to_hex(log->tree.root(size)) == root;
  };
  return approval::standing_in_log({log->state, was_head, policy, officers, now}, *log, request, text);
}

approval::Standing standing_of(const ceremony::Plan& plan, UnixTime now) {
  approval::Standing out;
  out.hint = "a plan with another id or date needs new signatures";
  if (now >= plan.valid_until)
    out.refusal =
        "the plan was valid until " + format_time(plan.valid_until) + ", and it is " + format_time(now);
  const auto log = log_of(plan.aud);
  if (!log) return out;
  const auto begun = log->state.ceremonies.find(plan.sha256);
  if (begun != log->state.ceremonies.end() && !audit::may_begin_anew(begun->second)) {
    const audit::Entry entry = audit::parse_entry(log->line(begun->second.seq));
    out.refusal = "the ceremony of this plan " +
                  std::string(begun->second.outcome.empty() ? "has begun" : "is over: it began") + " at " +
                  format_time(entry.time) + ", log entry " + std::to_string(entry.seq) +
                  ". A plan serves once";
  } else if (const auto rejected = approval::first_use(*log, plan.sha256);
             log->state.approvals_used.contains(plan.sha256) && rejected) {
    out.refusal = "the plan was rejected: " + *rejected;
  }
  return out;
}

// Why nothing is to be signed; a rejection is signed all the same, and its officer reads why it may be idle.
std::string checked_note(const approval::Standing& standing, bool reject) {
  if (standing.refusal.empty()) return standing.note.empty() ? "" : "\n" + standing.note;
  if (!reject) throw Error(ErrorKind::Denied, "not signed: " + standing.refusal, standing.hint);
  return "\nNOTE: " + printable(standing.refusal) + ".\n" + standing.note;
}

Signing rejection_of(const Signing& approval, const char* what) {
  Signing out = approval;
  out.file += ".rejection";
  out.text = approval::rejection_text(approval.text);
  out.shown.push_back({std::string("\nYou REJECT this ") + what + ". What you sign is:\n"});
  out.shown.push_back({out.text, true});
  return out;
}

// The plan in short, then its bytes.
Signing signing_of_plan(const std::string& path, const std::string& text, bool reject, UnixTime now) {
  const ceremony::Plan plan = ceremony::parse_plan(text, path);
  const Signing out{
      path,
      text,
      {{ceremony::show(plan) + "\n"}, {text, true}, {checked_note(standing_of(plan, now), reject)}},
      std::string(ceremony::kPlanNamespace)};
  return reject ? rejection_of(out, "plan") : out;
}

void refuse_accepted(const std::string& text) {
  const auto home = site::find_home();
  if (!home) return;
  const audit::LogCopy log = audit::read_log(home->log(), std::nullopt);
  if (!log.state.genesis_accepted || site::genesis_text(log.state, log.tree.leaf(0)) != text) return;
  throw Error(ErrorKind::Denied, "not signed: this genesis is accepted already",
              "'qpcseal audit show --kind genesis-accepted' says when, and by whom");
}

// A file that is too large for what officers approve is named for what it is.
void refuse_large(const std::string& path) {
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none) ||
      std::filesystem::file_size(path, none) <= approval::kMaxApprovalRequest)
    return;
  with_context(path, [&] {
    encoding::refuse_other_kind(encoding::front_of(open_to_read(path)), "a request for approval");
  });
}

// A request for approval or a plan, or its rejection; or an appliance's genesis.
Signing signing_of_approve(const ApproveOptions& options, UnixTime now) {
  const auto& [path, preview, models, reject] = options;
  const std::vector<std::string>& reports = preview.reports;
  // A plan's bytes count as its author saved them; the others have one written form.
  refuse_large(path);
  const std::string saved = read_text_file(path, approval::kMaxApprovalRequest);
  const std::string text = with_context(path, [&] { return plain_text(saved); });
  if (site::is_genesis_text(text)) {
    if (reject) throw Error(ErrorKind::Usage, "a genesis is not rejected: leave it unsigned");
    if (!reports.empty()) throw Error(ErrorKind::Usage, "a genesis has no reports");
    site::check_genesis_text(text);
    refuse_accepted(text);
    return {path, text, {{text, true}}, "approval@qpcseal"};
  }
  if (!approval::is_approval_request(text) && ceremony::is_plan_text(text)) {
    if (!reports.empty()) throw Error(ErrorKind::Usage, "a plan has no reports");
    return signing_of_plan(path, saved, reject, now);
  }
  const approval::ApprovalRequest request =
      with_context(path, [&] { return approval::parse_approval_request(text); });
  const std::string sig_namespace(approval::approval_namespace(request.operation));
  if (!models.empty()) check_model(request, models);
  if (!reports.empty()) check_reports(request, report_digests(reports));
  const std::string preview_text =
      request.operation == "release" ? release_preview(request, preview, now) : "";
  const Signing out{path,
                    text,
                    {{text, true}, {preview_text + checked_note(standing_of(request, text, now), reject)}},
                    sig_namespace};
  return reject ? rejection_of(out, "request") : out;
}

}  // namespace

void add_approve(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "approve", "Sign a request for approval, a ceremony's plan, or a genesis, with an officer's own token");
  auto request = std::make_shared<ApproveOptions>();
  command
      ->add_option("FILE", request->path,
                   "The request ('qpcseal request new'), plan, or genesis ('qpcseal genesis show')")
      ->required();
  command->add_option(
      "--report", request->preview.reports,
      "Sign a request for a release only if it covers exactly these reports, as for 'request new', and show "
      "the verdict on each card");
  command->add_option(
      "--policy", request->preview.policy,
      "The policy that reports are judged by, where this machine has no home; the request names it");
  command->add_option("--trust", request->preview.trust,
                      "Likewise, the folder of roots and revocation lists");
  command->add_option("--qpc", request->models,
                      "Sign a request for a seal only if it is of exactly this model, as for 'request new'");
  command->add_flag("--reject", request->reject, "Sign a rejection of the request or plan instead");
  auto options = add_sign_options(*command, context);
  command->callback([&context, request, options] {
    context.command = [&context, request, options] {
      return sign(context, signing_of_approve(*request, context.clock.now()), *options);
    };
  });
}

}  // namespace qpcseal::cli
