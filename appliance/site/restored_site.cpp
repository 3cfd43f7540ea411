// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/restored_site.h"

#include "appliance/site/init.h"
#include "base/error.h"
#include "pkcs11/module.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

constexpr const char* kSoftHsmModel = "SoftHSM v2";

void refuse_options(const MachineOptions& options) {
  if (options.module.empty() && options.token_label.empty() && options.token_serial.empty() &&
      options.pin_source.empty() && options.module_files.empty() && !options.embedded)
    return;
  throw Error(
      ErrorKind::Usage,
      "--module, --embedded, --token, --serial, --pin-source and --module-files are for a home without a "
      "site.toml",
      "the one that is there stays; edit it, or move it away");
}

// "'the token' (Vendor, Model)", as the genesis has it.
std::string words_of(const Json& token) {
  return "'" + encoding::text_member(token, "label") + "' (" + encoding::text_member(token, "manufacturer") +
         ", " + encoding::text_member(token, "model") + ")";
}

// SoftHSM for the embedded token, where the log does not speak against it.
std::string embedded_module(const Home& home, const audit::State& state, bool is_asked_for) {
  const Json& token = encoding::member(state.genesis, "token");
  if (encoding::text_member(token, "model") != kSoftHsmModel)
    throw Error(ErrorKind::Usage,
                is_asked_for ? "--embedded: the log's token is " + words_of(token) + ", not SoftHSM's"
                             : "this machine has no site.toml: --module is missing",
                "--module names the PKCS #11 module of token " + words_of(token));
  std::string module = find_softhsm();
  if (is_asked_for || std::filesystem::is_directory(home.tokens())) return module;
  if (to_hex(pkcs11::Module::digest_of(module)) != state.site.module_sha256)
    throw Error(ErrorKind::Usage,
                "this machine has no site.toml, and the log pins another module than " + module +
                    ": SHA-256 " + state.site.module_sha256,
                "--module names the module of token " + words_of(token) + "; --embedded takes " + module +
                    " for a token in the home");
  return module;
}

std::string default_pin_source(const Home& home) {
  const std::filesystem::path pin = home.root / "pin";
  return std::filesystem::is_regular_file(pin) ? "file:" + pin.string() : "tty";
}

}  // namespace

Site site_for(const Home& home, const audit::State& state, const MachineOptions& options) {
  if (std::filesystem::exists(home.site())) {
    refuse_options(options);
    return Site::read(home.site());
  }
  const Json& token = encoding::member(state.genesis, "token");
  Site site;
  site.embedded = options.module.empty();
  site.module = site.embedded ? embedded_module(home, state, options.embedded) : options.module;
  if (!std::filesystem::path(site.module).is_absolute())
    throw Error(ErrorKind::Usage, "--module must be an absolute path, not '" + site.module + "'");
  site.token_label =
      options.token_label.empty() ? encoding::text_member(token, "label") : options.token_label;
  site.token_serial =
      options.token_serial.empty() ? encoding::text_member(token, "serial") : options.token_serial;
  site.pin_source = options.pin_source.empty() ? default_pin_source(home) : options.pin_source;
  site.module_files = options.module_files;
  return site;
}

std::string pinned_sha256(const audit::State& state) { return state.site.module_sha256; }

std::string module_sha256(const Site& site) {
  try {
    return to_hex(pkcs11::Module::digest_of(site.module));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Internal) throw;
    return "";
  }
}

}  // namespace qpcseal::site
