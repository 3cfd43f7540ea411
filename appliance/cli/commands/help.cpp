// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/commands/help.h"

#include <sstream>

#include "base/clock.h"
#include "cli/man_page.h"

namespace qpcseal::cli {

namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 internal error, 2 usage, 3 input or output, 4 malformed input, 5 denied by\n"
    "attestation or policy, 6 token, 7 approvals missing, 8 audit log damaged, 9 done and logged, but a "
    "step\n"
    "after it failed (the log's anchor, an output, standard output).";

constexpr const char* kEnvironment =
    "QPCSEAL_HOME names the appliance's home, an absolute path. Without it that is /var/lib/qpcseal for\n"
    "the user qpcseal, else $XDG_DATA_HOME/qpcseal, else ~/.local/share/qpcseal.\n"
    "No secret is ever taken from the environment or from an argument: a PIN comes from the terminal,\n"
    "from --pin-fd, or from the file that site.toml names.";

constexpr const char* kFiles =
    "In the home: site.toml (module, token and PIN source of this machine), policy.toml, officers,\n"
    "trust/ (root certificates) or the collateral.json that took its place, log/ (the audit log:\n"
    "entries.jsonl and its signed checkpoint), witness/ (what witnesses signed of it), reports/ (every "
    "report\n"
    "that was judged), approvals/ (what officers signed, by SHA-256), wrapped (keys on their way to cards),\n"
    "lock, and with the embedded token tokens/, tokens.guard/ (copies of its files) and pin.\n"
    "Outputs carry the names of the vendor's tool: programqpc.bin, MEK.encrypt, MEK.nonce, MEK.pub,\n"
    "config.json.";

struct Example {
  const char* command;  // its path, in words
  const char* text;
};

constexpr Example kExamples[] = {
    {"encrypt-model",
     "  qpcseal encrypt-model --qpc programqpc.bin --mek resnet50 --output-dir sealed\n"
     "  qpcseal encrypt-model --qpc programqpc.bin --mek resnet50 --output-dir bound --pub-keys report.dat"},
    {"encrypt-with-session-keys",
     "  qpcseal encrypt-with-session-keys --input-dir sealed --mek resnet50 --pub-keys report.dat"},
    {"wrap-mek",
     "  qpcseal wrap-mek --mek resnet50 --pub-keys report.dat --output-dir wrapped\n"
     "  qpcseal wrap-mek --mek resnet50 --pub-keys requests --output-dir wrapped --skip-denied"},
    {"replace-mek", "  qpcseal replace-mek --encrypted-qpc sealed --wrapped-meks wrapped --output-dir bound"},
    {"init",
     "  qpcseal init --embedded --insecure-demo --appliance-id trial --policy policy.toml --trust roots"},
    {"doctor", "  qpcseal doctor\n  qpcseal doctor --json"},
    {"mek generate", "  qpcseal mek generate resnet50"},
    {"mek rotate", "  qpcseal mek rotate resnet50"},
    {"mek list", "  qpcseal mek list"},
    {"mek show", "  qpcseal mek show resnet50#1"},
    {"attest request",
     "  qpcseal attest request --mek resnet50 -o request.cbor\n"
     "  qpcseal attest request --mek resnet50 --host node7 --device 0-3 -o requests\n"
     "  qpcseal-attest --batch requests/batch"},
    {"attest verify", "  qpcseal attest verify report.dat"},
    {"plan compromise", "  qpcseal plan compromise resnet50#1\n  qpcseal plan compromise resnet50#1 --json"},
    {"request new",
     "  qpcseal request new mek-generate --param name=resnet50 -o request.txt\n"
     "  qpcseal request new mek-rotate --mek resnet50#1 -o request.txt\n"
     "  qpcseal request new release --mek resnet50#1 --report report.dat -o request.txt"},
    {"policy show", "  qpcseal policy show"},
    {"trust show", "  qpcseal trust show --seal-key > seal-key.pem"},
    {"audit verify", "  qpcseal audit verify --key log.vkey"},
    {"inspect", "  qpcseal inspect programqpc.bin\n  qpcseal inspect report.dat --json"},
};

CLI::App* find(CLI::App& app, const std::string& path) {
  std::istringstream words(path);
  CLI::App* at = &app;
  for (std::string word; words >> word;) at = at->get_subcommand(word);  // throws for one that is not there
  return at;
}

void add_exit_codes(CLI::App& app) {
  app.footer(kExitCodes);
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) add_exit_codes(*command);
}

}  // namespace

void add_help(CLI::App& app) {
  add_exit_codes(app);
  for (const Example& example : kExamples)
    find(app, example.command)->footer("Examples:\n" + std::string(example.text) + "\n\n" + kExitCodes);
  add_manual(app, {"qpcseal",
                   "seal AI models and release their keys to attested cards only",
                   std::string(software_version()),
                   format_time(build_time()).substr(0, 10),
                   {{"ENVIRONMENT", kEnvironment}, {"FILES", kFiles}},
                   {"qpcseal-attest(1)", "qpcseal-device(1)"}});
}

}  // namespace qpcseal::cli
