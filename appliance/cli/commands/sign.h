// SPDX-License-Identifier: Apache-2.0
// Officers' signatures: shows the text with its SHA-256 in words, asks, and signs with the officer's own
// token. Its process opens no other PKCS #11 module.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "appliance/cli/commands/context.h"
#include "appliance/cli/output/pager.h"
#include "pkcs11/token_choice.h"

namespace qpcseal::cli {

struct SignOptions {
  std::string module, key, pin_source = "tty";
  pkcs11::TokenChoice token;
  std::vector<std::string> module_files;
  bool module_network = false;
  std::string output;      // default: what is signed, with ".sig"
  std::string yes_digest;  // SHA-256, hex: stands for the answer `Yes`
  bool force = false;
};

// --module, --module-files, --module-network, --token, --serial, --slot, --key, --pin-source, --pin-fd,
// --last-try, -o,
// --yes-digest, --force, --json.
std::shared_ptr<SignOptions> add_sign_options(CLI::App& command, Context& context);

// What a person answers at /dev/tty, one line. Error{Usage} without a terminal.
std::string ask_terminal(const std::string& question);

// How officers sign `file`, by `command` or by ssh-keygen, each into a file of their own.
std::string how_to_sign(const std::string& file, const std::string& command,
                        const std::string& sig_namespace);

struct Signing {
  std::string file;            // where `text` came from, or would be
  std::string text;            // what is signed
  std::vector<Passage> shown;  // what the officer reads above the digest
  std::string sig_namespace;   // e.g. approval@qpcseal
};
// Error{Usage} where the answer is not exactly `Yes`, or --yes-digest names other bytes.
Report sign(Context& context, const Signing& signing, const SignOptions& options);

}  // namespace qpcseal::cli
