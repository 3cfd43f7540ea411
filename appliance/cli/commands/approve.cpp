// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "appliance/approval/quorum.h"
#include "appliance/ceremony/plan.h"
#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/sign.h"
#include "appliance/cli/output/report_paths.h"
#include "appliance/release/approval.h"
#include "appliance/site/genesis.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::cli {

namespace {

struct ApproveOptions {
  std::string path;
  std::vector<std::string> reports;
  bool reject = false;
};

// What the officer has in hand is what the request is about.
void check_reports(const approval::ApprovalRequest& request, const std::vector<Sha256Digest>& reports) {
  if (request.operation != "release")
    throw Error(ErrorKind::Usage,
                "--report is for requests of releases; this one is of " + request.operation);
  const auto& asked = request.parameters;
  const Bytes mek_id = from_hex(encoding::text_member(asked, "mek_id"));
  if (asked != release::release_parameters(encoding::text_member(asked, "mek"), mek_id, reports))
    throw Error(ErrorKind::Denied,
                "the request is about other reports than these " + std::to_string(reports.size()),
                "same files, same order? A folder stands for its reports by name");
}

Signing rejection_of(const std::string& path, const std::string& text, const std::string& shown,
                     const char* what, std::string_view name_space) {
  const std::string rejection = approval::rejection_text(text);
  return {path + ".rejection", rejection,
          shown + "\nYou REJECT this " + what + ". What you sign is:\n" + rejection, std::string(name_space)};
}

// The plan in short, then its bytes.
Signing signing_of_plan(const std::string& path, const std::string& text, bool reject) {
  const std::string shown = ceremony::show(ceremony::parse_plan(text, path)) + "\n" + text;
  if (reject) return rejection_of(path, text, shown, "plan", ceremony::kPlanNamespace);
  return {path, text, shown, std::string(ceremony::kPlanNamespace)};
}

// A request for approval or a plan, or its rejection; or an appliance's genesis.
Signing signing_of_approve(const ApproveOptions& options) {
  const auto& [path, reports, reject] = options;
  const std::string text = read_text_file(path, approval::kMaxApprovalRequest);
  if (site::is_genesis_text(text)) {
    if (reject) throw Error(ErrorKind::Usage, "a genesis is not rejected: leave it unsigned");
    if (!reports.empty()) throw Error(ErrorKind::Usage, "a genesis has no reports");
    site::check_genesis_text(text);
    return {path, text, text, "approval@qpcseal"};
  }
  if (!approval::is_approval_request(text) && ceremony::is_plan_text(text)) {
    if (!reports.empty()) throw Error(ErrorKind::Usage, "a plan has no reports");
    return signing_of_plan(path, text, reject);
  }
  const approval::ApprovalRequest request =
      with_context(path, [&] { return approval::parse_approval_request(text); });
  const std::string name_space(approval::approval_namespace(request.operation));
  if (!reports.empty()) check_reports(request, report_digests(reports));
  if (!reject) return {path, text, text, name_space};
  return rejection_of(path, text, text, "request", name_space);
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
      "--report", request->reports,
      "Sign a request for a release only if it covers exactly these reports, as for 'request new'");
  command->add_flag("--reject", request->reject, "Sign a rejection of the request or plan instead");
  auto options = add_sign_options(*command, context);
  command->callback([&context, request, options] {
    context.command = [&context, request, options] {
      return sign(context, signing_of_approve(*request), *options);
    };
  });
}

}  // namespace qpcseal::cli
