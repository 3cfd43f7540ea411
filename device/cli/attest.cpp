// SPDX-License-Identifier: Apache-2.0
// `attest`: a card's answer without a network, for appliances across an air gap and for tests.
#include <memory>

#include "base/error.h"
#include "device/card/answer.h"
#include "device/cli/commands.h"

namespace qpcseal::device {
namespace {

struct AttestOptions {
  std::string dir, request, report, fault;
  unsigned number = 0;
  bool force = false;
};

int run_attest(const AttestOptions& options) {
  const Bytes bytes = read_file(options.request, kMaxRequest);
  const attest::Request request = with_context(options.request, [&] { return parse_question(bytes); });
  const std::optional<Fault> fault = parse_fault(options.fault);
  const Existing existing = options.force ? Existing::Replace : Existing::Refuse;
  AtomicFile out(options.report, existing);  // before the card answers: an answer that is lost helps nobody
  const Bytes report = answer(options.dir, options.number, request, SystemClock(), fault);
  write_exact(out.fd(), report, 0);
  out.commit();
  print("card " + std::to_string(options.number) + ": report in " + options.report + "\n");
  return 0;
}

}  // namespace

void add_attest(CLI::App& app, Context& context) {
  const auto options = std::make_shared<AttestOptions>();
  CLI::App* command =
      app.add_subcommand("attest", "Answer an attestation request from a file, without the network");
  command->add_option("--dir", options->dir, "Folder of the simulated cards")->required();
  command->add_option("--device,-d", options->number, "Card number (default 0)");
  command->add_option("--attestation_request,-i", options->request, "As `qpcseal attest request` wrote it")
      ->required();
  command->add_option("--attestation_report,-o", options->report, "Where the report goes")->required();
  command->add_flag("--force", options->force, "Overwrite an existing report");
  const auto names = fault_names();
  command->add_option("--fault", options->fault, "For tests of an appliance: evidence that must be refused")
      ->check(CLI::IsMember(std::vector<std::string>(names.begin(), names.end())));
  command->callback([&context, options] { context.command = [options] { return run_attest(*options); }; });
}

}  // namespace qpcseal::device
