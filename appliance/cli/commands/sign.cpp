// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/commands/sign.h"

#include <fcntl.h>
#include <unistd.h>

#include "appliance/approval/sshsig_sign.h"
#include "appliance/site/pin.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/print.h"
#include "encoding/pgp_words.h"
#include "pkcs11/officer_key.h"

namespace qpcseal::cli {

namespace {

constexpr std::string_view kAnswer = "Yes";

std::string ask(const std::string& question) {
  const Fd tty(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!tty)
    throw Error(ErrorKind::Usage, "no terminal to ask for a Yes",
                "a script that knows what it signs gives --yes-digest SHA256");
  print_to(tty.get(), question);
  std::string answer;
  for (char c = 0; answer.size() < 64 && read(tty.get(), &c, 1) == 1 && c != '\n';) answer += c;
  return answer;
}

void confirm(const Signing& signing, const Sha256Digest& digest, const SignOptions& options) {
  if (!options.yes_digest.empty()) {
    if (options.yes_digest != to_hex(digest))
      throw Error(ErrorKind::Usage,
                  "--yes-digest names other bytes: what would be signed has SHA-256 " + to_hex(digest));
    return;
  }
  const std::string end = signing.shown.ends_with('\n') ? "" : "\n";
  const std::string question = signing.shown + end + "\nSHA-256 " + to_hex(digest) + "\n" +
                               encoding::word_lines(digest, "  ") + "namespace " + signing.name_space +
                               "\n\nSign this? Type Yes to sign, anything else to stop: ";
  if (ask(question) != kAnswer) throw Error(ErrorKind::Usage, "not signed: the answer was not 'Yes'");
}

}  // namespace

std::shared_ptr<SignOptions> add_sign_options(CLI::App& command, Context& context) {
  auto options = std::make_shared<SignOptions>();
  command.add_option("--module", options->module, "The officer's PKCS #11 module, absolute path")->required();
  command.add_option("--token", options->token, "Label of the officer's token")->required();
  command.add_option("--key", options->key, "Label of the key (default: the token's one ECDSA key)");
  command.add_option("--pin-source", options->pin_source, "tty (default) or file:/absolute/path, mode 0600");
  command.add_option("--pin-fd", context.pin_fd, "Read the token's PIN from this descriptor")
      ->check(CLI::Range(0, 1023));
  command.add_option("-o,--output", options->output, "File for the signature (default: FILE.sig)");
  command.add_option("--yes-digest", options->yes_digest,
                     "Sign without asking, if the SHA-256 of what is signed is this one");
  command.add_flag("--force", options->force, "Replace an existing signature");
  add_output_options(command, context);
  return options;
}

Report sign(Context& context, const Signing& signing, const SignOptions& options) {
  const Sha256Digest digest = sha256(view(signing.text));
  const std::string output = options.output.empty() ? signing.file + ".sig" : options.output;
  AtomicFile file(output, options.force ? Existing::Replace : Existing::Refuse);
  confirm(signing, digest, options);
  const SecretBuffer pin = site::read_pin(options.pin_source, context.pin_fd, options.token);
  const pkcs11::OfficerKey key(options.module, options.token, options.key, pin);
  const std::string signature = approval::sign_sshsig(key.get(), signing.name_space, view(signing.text));
  write_exact(file.fd(), view(signature), 0);
  file.commit();
  const std::string fingerprint = approval::ssh_fingerprint(approval::ssh_key_blob(key.get()));
  Report report;
  report.json = {{"output", output},
                 {"namespace", signing.name_space},
                 {"sha256", to_hex(digest)},
                 {"words", encoding::to_words(digest)},
                 {"key", fingerprint}};
  report.text = "signed by key " + fingerprint + " in namespace " + signing.name_space + ": " + output + "\n";
  return report;
}

}  // namespace qpcseal::cli
