// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/commands/sign.h"

#include <fcntl.h>
#include <openssl/x509.h>

#include "appliance/approval/sshsig_sign.h"
#include "appliance/cli/commands/token_options.h"
#include "appliance/keys/officer_token.h"
#include "appliance/site/pin.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/print.h"
#include "base/text.h"
#include "encoding/pgp_words.h"
#include "pkcs11/officer_key.h"

namespace qpcseal::cli {

namespace {

constexpr std::string_view kAnswer = "Yes";

Fd open_terminal() {
  Fd tty(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!tty)
    throw Error(ErrorKind::Usage, "no terminal to ask for an answer",
                "a script that knows what it signs gives --yes-digest SHA256");
  return tty;
}

void confirm(const Signing& signing, const Sha256Digest& digest, const SignOptions& options) {
  if (!options.yes_digest.empty()) {
    if (options.yes_digest != to_hex(digest))
      throw Error(ErrorKind::Usage,
                  "--yes-digest names other bytes: what would be signed has SHA-256 " + to_hex(digest));
    return;
  }
  const Fd tty = open_terminal();
  std::vector<Passage> shown = signing.shown;
  const std::size_t room = page_room(tty, shown);
  shown.push_back({"\nSHA-256 " + to_hex(digest) + "\n" + encoding::word_lines(digest, "  ", room) +
                   "namespace " + signing.sig_namespace + "\n\n"});
  constexpr std::size_t kQuestionRows = 2;
  if (!page_text(tty, shown, kQuestionRows, "no signature"))
    throw Error(ErrorKind::Usage, "not signed: 'q' was typed before the end of the text");
  print_to(tty.get(), "Sign this? Type Yes to sign, anything else to stop: ");
  if (read_answer(tty) != kAnswer) throw Error(ErrorKind::Usage, "not signed: the answer was not 'Yes'");
}

struct Signature {
  std::string text, fingerprint;
};

Signature sign_with_libp11(const Signing& signing, const SignOptions& options, const SecretBuffer& pin,
                           pkcs11::LastTry last_try) {
  const pkcs11::OfficerKey key(options.module, options.token, options.key, pin, last_try);
  if (key.get() == nullptr) return {};
  return {approval::sign_sshsig(key.get(), signing.sig_namespace, view(signing.text)),
          approval::ssh_fingerprint(approval::ssh_key_blob(key.get()))};
}

Signature sign_in_session(const Signing& signing, const SignOptions& options, const SecretBuffer& pin,
                          pkcs11::LastTry last_try) {
  keys::OfficerToken token(options.module, options.token, options.key, pin, last_try);
  const unsigned char* spki = token.key().spki().data();
  const approval::EvpKey half(d2i_PUBKEY(nullptr, &spki, static_cast<long>(token.key().spki().size())));
  if (!half) throw Error(ErrorKind::Token, "the key's public half cannot be read");
  keys::LogSigner signer(token.key());
  return {approval::sign_sshsig(
              half.get(), [&](ByteView data) { return signer.sign(data); }, signing.sig_namespace,
              view(signing.text)),
          approval::ssh_fingerprint(approval::ssh_key_blob(half.get()))};
}

}  // namespace

std::string ask_terminal(const std::string& question) {
  const Fd tty = open_terminal();
  print_to(tty.get(), question);
  return read_answer(tty);
}

std::shared_ptr<SignOptions> add_sign_options(CLI::App& command, Context& context) {
  auto options = std::make_shared<SignOptions>();
  command.add_option("--module", options->module, "The officer's PKCS #11 module, absolute path")->required();
  add_module_files(command, options->module_files);
  command.add_flag("--module-network", options->module_network,
                   "The module reaches its token over the network");
  add_token_choice(command, options->token, "Label of the officer's token");
  command.add_option("--key", options->key, "Label of the key (default: the token's one ECDSA key)");
  command.add_option("--pin-source", options->pin_source,
                     "tty (default), pinpad (the token's own), or file:/absolute/path, mode 0600");
  command.add_option("--pin-fd", context.pin_fd, "Read the token's PIN from this descriptor")
      ->check(CLI::Range(0, 1023));
  add_last_try(command, context);
  command.add_option("-o,--output", options->output, "File for the signature (default: FILE.sig)");
  command.add_option("--yes-digest", options->yes_digest,
                     "Sign without asking, if the SHA-256 of what is signed is this one");
  command.add_flag("--force", options->force, "Replace an existing signature");
  add_output_options(command, context);
  return options;
}

std::string how_to_sign(const std::string& file, const std::string& command,
                        const std::string& sig_namespace) {
  const std::string name = shell_word(file);
  return "'" + command + " " + name + " ... -o NAME.sig', or 'ssh-keygen -Y sign -f KEY -n " + sig_namespace +
         " < " + name + " > NAME.sig'\n";
}

Report sign(Context& context, const Signing& signing, const SignOptions& options) {
  const Sha256Digest digest = sha256(view(signing.text));
  const std::string output = options.output.empty() ? signing.file + ".sig" : options.output;
  AtomicFile file(output, options.force ? Existing::Replace : Existing::Refuse);
  confirm(signing, digest, options);
  if (options.token.empty()) throw Error(ErrorKind::Usage, "--token is missing (or --serial, or --slot)");
  context.confinement.before_module(
      {options.module, "", options.pin_source, options.module_files, options.module_network, {}, {}});
  const SecretBuffer pin = site::read_pin(options.pin_source, context.pin_fd, options.token.name());
  const auto last_try = context.last_try ? pkcs11::LastTry::Take : pkcs11::LastTry::Refuse;
  Signature made = sign_with_libp11(signing, options, pin, last_try);
  if (made.text.empty()) made = sign_in_session(signing, options, pin, last_try);
  write_exact(file.fd(), view(made.text), 0);
  file.commit();
  Report report;
  report.json = {{"output", output},
                 {"namespace", signing.sig_namespace},
                 {"sha256", to_hex(digest)},
                 {"words", encoding::to_words(digest)},
                 {"key", made.fingerprint}};
  report.written = {output};
  report.text =
      "signed by key " + made.fingerprint + " in namespace " + signing.sig_namespace + ": " + output + "\n";
  return report;
}

}  // namespace qpcseal::cli
