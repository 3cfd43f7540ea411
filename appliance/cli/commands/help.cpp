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
    "after it failed (the log's anchor, an output, standard output), 130 interrupted.\n"
    "Environment: QPCSEAL_HOME names the appliance's home (default /var/lib/qpcseal for the user qpcseal,\n"
    "else ~/.local/share/qpcseal).";

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
    {"status",
     "  qpcseal status\n  qpcseal status --prometheus -o /var/lib/prometheus/node-exporter/qpcseal.prom"},
    {"officer-key new",
     "  qpcseal officer-key new --module /usr/lib/opensc-pkcs11.so --token 'anna' --name anna"},
    {"ceremony check",
     "  qpcseal ceremony check record/record.json --log COPY --key VKEY --page record/record.html"},
    {"run", "  qpcseal run commands.jsonl --journal commands.done --pin-fd 3 3<pin"},
    {"shell", "  qpcseal shell --idle 300"},
    {"mek generate", "  qpcseal mek generate resnet50"},
    {"mek rotate", "  qpcseal mek rotate resnet50"},
    {"mek list", "  qpcseal mek list"},
    {"mek show", "  qpcseal mek show resnet50#1"},
    {"mek suspend", "  qpcseal mek suspend resnet50#1"},
    {"mek resume", "  qpcseal mek resume resnet50#1 --request request --approval anna.sig bela.sig"},
    {"mek destroy",
     "  qpcseal mek destroy resnet50#1 --request request --approval anna.sig bela.sig\n"
     "  qpcseal mek destroy resnet50#1 --transfer-to recovery.key --request request --approval anna.sig"},
    {"mek import", "  qpcseal mek import MEK.dat --name resnet50 --shred"},
    {"mek backup", "  qpcseal mek backup resnet50 --to recovery.key -o resnet50.backup"},
    {"mek restore",
     "  qpcseal mek restore resnet50.backup\n"
     "  qpcseal mek restore resnet50.backup --retirement destroyed.receipt"},
    {"mek drill", "  qpcseal mek drill resnet50.backup -o resnet50.drill"},
    {"mek drills", "  qpcseal mek drills"},
    {"mek cleanup", "  qpcseal mek cleanup"},
    {"recovery-key new", "  qpcseal recovery-key new -o recovery.key"},
    {"recovery-key show", "  qpcseal recovery-key show -o recovery.key"},
    {"pin change", "  qpcseal pin change"},
    {"ceremony lint", "  qpcseal ceremony lint plan.toml"},
    {"ceremony rehearse", "  qpcseal ceremony rehearse plan.toml -o rehearsal"},
    {"ceremony run",
     "  qpcseal ceremony run plan.toml --signature anna.sig bela.sig --rehearsal rehearsal/record.json -o "
     "record"},
    {"ceremony resume",
     "  qpcseal ceremony resume -o record\n"
     "  qpcseal ceremony resume --abandon --why 'a seal was broken' -o record"},
    {"ceremony report", "  qpcseal ceremony report -o record"},
    {"attest request",
     "  qpcseal attest request --mek resnet50 -o request.cbor\n"
     "  qpcseal attest request --mek resnet50 --host node7 --device 0-3 -o requests\n"
     "  qpcseal-attest --batch requests/batch"},
    {"attest verify", "  qpcseal attest verify report.dat"},
    {"plan compromise", "  qpcseal plan compromise resnet50#1\n  qpcseal plan compromise resnet50#1 --json"},
    {"policy check", "  qpcseal policy check policy.toml"},
    {"policy show", "  qpcseal policy show"},
    {"policy sign", "  qpcseal policy sign policy.toml --module /usr/lib/card.so --token anna -o anna.sig"},
    {"policy install", "  qpcseal policy install policy.toml --approval anna.sig bela.sig"},
    {"policy diff", "  qpcseal policy diff old.toml new.toml"},
    {"trust show", "  qpcseal trust show --seal-key > seal-key.pem"},
    {"trust bundle", "  qpcseal trust bundle --serial 7 --trust roots -o collateral.json"},
    {"trust sign", "  qpcseal trust sign collateral.json --module /usr/lib/card.so --token anna -o anna.sig"},
    {"trust import", "  qpcseal trust import collateral.json --approval anna.sig"},
    {"request new",
     "  qpcseal request new mek-generate --param name=resnet50 -o request\n"
     "  qpcseal request new mek-rotate --mek resnet50#1 -o request\n"
     "  qpcseal request new release --mek resnet50#1 --report report.dat -o request"},
    {"approve",
     "  qpcseal approve request --module /usr/lib/card.so --token anna -o anna.sig\n"
     "  qpcseal approve request --report report.dat --module /usr/lib/card.so --token anna"},
    {"officers show", "  qpcseal officers show\n  qpcseal officers show officers.new"},
    {"officers install",
     "  qpcseal officers install officers.new --request request --approval anna.sig bela.sig"},
    {"genesis show", "  qpcseal genesis show -o genesis"},
    {"genesis accept", "  qpcseal genesis accept --approval anna.sig bela.sig"},
    {"audit verify",
     "  qpcseal audit verify --key log.vkey\n  qpcseal audit verify --log copy --key log.vkey --earlier "
     "checkpoint"},
    {"audit checkpoint",
     "  qpcseal audit checkpoint -o checkpoint\n  qpcseal audit checkpoint -o - > checkpoint"},
    {"audit export", "  qpcseal audit export -o tiles"},
    {"audit receipt",
     "  qpcseal audit receipt 12 -o 12.receipt\n  qpcseal audit receipt 12 --bundle -o 12.bundle"},
    {"audit check-receipt", "  qpcseal audit check-receipt 12.receipt --key log.vkey"},
    {"audit show",
     "  qpcseal audit show --kind release --since 2026-11-01\n  qpcseal audit show --mek resnet50 --json"},
    {"audit report", "  qpcseal audit report -o report.html"},
    {"audit rotate-key", "  qpcseal audit rotate-key --request request --approval anna.sig bela.sig"},
    {"audit witness trust",
     "  qpcseal audit witness trust witness.vkey --request request --approval anna.sig"},
    {"audit witness distrust",
     "  qpcseal audit witness distrust witness.vkey --request request --approval anna.sig"},
    {"audit witness import", "  qpcseal audit witness import cosigned.note"},
    {"audit witness list", "  qpcseal audit witness list"},
    {"audit anchor-accept", "  qpcseal audit anchor-accept --request request --approval anna.sig bela.sig"},
    {"home backup", "  qpcseal home backup -o home.tar"},
    {"home verify", "  qpcseal home verify home.tar --key log.vkey"},
    {"home restore", "  qpcseal home restore home.tar --key log.vkey"},
    {"site show", "  qpcseal site show"},
    {"site change",
     "  qpcseal site change --module /usr/lib/vendor/pkcs11.so --request request --approval anna.sig"},
    {"clock correct", "  qpcseal clock correct --request request --approval anna.sig bela.sig"},
    {"inspect", "  qpcseal inspect programqpc.bin\n  qpcseal inspect - < report.dat"},
    {"help", "  qpcseal help mek list"},
    {"version", "  qpcseal version"},
    {"completion", "  qpcseal completion bash > /etc/bash_completion.d/qpcseal"},
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
