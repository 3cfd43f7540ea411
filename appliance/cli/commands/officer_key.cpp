// SPDX-License-Identifier: Apache-2.0
// officer-key new: an officer's key in the officer's own token, and its line of the officers file.
#include <array>

#include "appliance/approval/officers.h"
#include "appliance/cli/commands/token_options.h"
#include "appliance/keys/signing.h"
#include "appliance/keys/spki.h"
#include "appliance/site/pin.h"
#include "base/error.h"
#include "base/file.h"
#include "pkcs11/session.h"

namespace qpcseal::cli {

namespace {

constexpr std::string_view kType = "ecdsa-sha2-nistp256", kCurve = "nistp256";
constexpr std::string_view kEverything =
    "approval@qpcseal,policy@qpcseal,officers@qpcseal,plan@qpcseal,collateral@qpcseal";
constexpr std::size_t kPoint = 65, kKeyId = 16;  // bytes

struct OfficerKeyOptions {
  std::string module, name, key, pin_source = "tty", output, namespaces{kEverything};
  pkcs11::TokenChoice token;
  std::vector<std::string> module_files;
  bool module_network = false;
};

void refuse_second(pkcs11::Session& session, const std::string& label) {
  for (const CK_OBJECT_CLASS kind : {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY}) {
    pkcs11::Template wanted;
    wanted.number(CKA_CLASS, kind).flag(CKA_TOKEN, true).text(CKA_LABEL, label);
    if (!session.find(wanted).empty())
      throw Error(ErrorKind::Token, "the token has a key '" + label + "' already", "name another by --key");
  }
}

// On P-256. Returns the public point, uncompressed.
Bytes make_key(pkcs11::Session& session, const std::string& label, ByteView id) {
  const auto pair = keys::generate_signing_key(session, label, keys::SigningType::EcdsaP256, id);
  const auto point = session.attribute(pair.public_key, CKA_EC_POINT);
  if (!point) throw Error(ErrorKind::Token, "the token does not give the public key that it made");
  return keys::unwrap_ec_point(*point, kPoint);
}

// As ssh-keygen prints it: type and base64 of the wire form (RFC 5656 section 3.1).
std::string ssh_text(ByteView point) {
  Bytes blob;
  approval::append_ssh_string(blob, view(kType));
  approval::append_ssh_string(blob, view(kCurve));
  approval::append_ssh_string(blob, point);
  static_cast<void>(approval::parse_ssh_key(blob));  // a point off the curve is refused
  return std::string(kType) + " " + to_base64(blob);
}

Report new_officer_key(Context& context, const OfficerKeyOptions& options) {
  const std::string label = options.key.empty() ? options.name : options.key;
  const std::string head = options.name + " namespaces=\"" + options.namespaces + "\" ";
  // The name and the namespaces are read as the officers file will be, before anything is made.
  constexpr std::string_view kSample =
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
  static_cast<void>(approval::parse_officers(head + std::string(kSample) + "\n"));
  if (options.token.empty()) throw Error(ErrorKind::Usage, "--token is missing (or --serial, or --slot)");
  std::optional<AtomicFile> file;
  if (!options.output.empty()) file.emplace(options.output, Existing::Refuse);
  context.confinement.before_module(
      {options.module, "", options.pin_source, options.module_files, options.module_network, {}, {}});
  const pkcs11::Module module(options.module, pkcs11::Module::digest_of(options.module), "");
  const pkcs11::TokenInfo token = pkcs11::find_token(module, options.token);
  const SecretBuffer pin = site::read_pin(options.pin_source, context.pin_fd, options.token.name());
  pkcs11::Session session(module, token, pkcs11::Access::ReadWrite);
  session.login(pin, context.last_try ? pkcs11::LastTry::Take : pkcs11::LastTry::Refuse);
  refuse_second(session, label);
  const Bytes point = make_key(session, label, context.random.bytes(kKeyId));
  const std::string line = head + ssh_text(point) + "\n";
  const approval::Officers read = approval::parse_officers(line);
  Report report;
  report.json = {{"officer", options.name},
                 {"token", token.label},
                 {"token_serial", token.serial},
                 {"key", label},
                 {"fingerprint", approval::ssh_fingerprint(read.list.front().key.blob)},
                 {"line", line}};
  report.text = "made '" + printable(label) + "' in token '" + printable(token.label) + "', fingerprint " +
                approval::ssh_fingerprint(read.list.front().key.blob) +
                "\nthe line for the officers file:\n" + line;
  if (!file) return report;
  write_exact(file->fd(), view(line), 0);
  file->commit();
  report.written = {options.output};
  report.text += "wrote it to " + printable(options.output) + "\n";
  return report;
}

}  // namespace

void add_officer_key(CLI::App& app, Context& context) {
  CLI::App* parent = app.add_subcommand("officer-key", "An officer's own key");
  parent->require_subcommand(1);
  CLI::App* command = parent->add_subcommand(
      "new", "Make a key on P-256 in the officer's own token, and print its line for the officers file");
  const auto options = std::make_shared<OfficerKeyOptions>();
  command->add_option("--module", options->module, "The officer's PKCS #11 module, absolute path")
      ->required();
  add_module_files(*command, options->module_files);
  command->add_flag("--module-network", options->module_network,
                    "The module reaches its token over the network");
  add_token_choice(*command, options->token, "Label of the officer's token");
  command->add_option("--name", options->name, "The officer's name in the officers file")->required();
  command->add_option("--key", options->key, "Label of the key (default: the officer's name)");
  command->add_option("--namespaces", options->namespaces,
                      "What the officer may sign, with commas between (default: everything)");
  command->add_option("--pin-source", options->pin_source,
                      "tty (default), pinpad (the token's own), or file:/absolute/path, mode 0600");
  command->add_option("--pin-fd", context.pin_fd, "Read the token's PIN from this descriptor")
      ->check(CLI::Range(0, 1023));
  add_last_try(*command, context);
  command->add_option("-o,--output", options->output, "Write the line to this new file too");
  add_output_options(*command, context);
  command->callback([&context, options] {
    context.command = [&context, options] { return new_officer_key(context, *options); };
  });
}

}  // namespace qpcseal::cli
