// SPDX-License-Identifier: Apache-2.0
// Officers' signatures: shows the text with its SHA-256 in words, asks, and signs with the officer's own
// token. Its process opens no other PKCS #11 module.
#pragma once

#include <memory>
#include <string>

#include "appliance/cli/commands/context.h"

namespace qpcseal::cli {

struct SignOptions {
  std::string module, token, key, pin_source = "tty";
  std::string output;      // default: what is signed, with ".sig"
  std::string yes_digest;  // SHA-256, hex: stands for the answer `Yes`
  bool force = false;
};

// --module, --token, --key, --pin-source, --pin-fd, -o, --yes-digest, --force, --json.
std::shared_ptr<SignOptions> add_sign_options(CLI::App& command, Context& context);

struct Signing {
  std::string file;        // where `text` came from, or would be
  std::string text;        // what is signed
  std::string shown;       // what the officer reads above the digest
  std::string name_space;  // e.g. approval@qpcseal
};
// Error{Usage} where the answer is not exactly `Yes`, or --yes-digest names other bytes.
Report sign(Context& context, const Signing& signing, const SignOptions& options);

}  // namespace qpcseal::cli
