// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/init.h"

#include <algorithm>

#include "appliance/approval/officers.h"
#include "appliance/site/archive.h"
#include "appliance/site/pin.h"
#include "appliance/site/pinned_files.h"
#include "appliance/site/vouched.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

constexpr const char* kSoftHsmPaths[] = {"/usr/lib/softhsm/libsofthsm2.so",
                                         "/usr/lib64/softhsm/libsofthsm2.so",
                                         "/usr/local/lib/softhsm/libsofthsm2.so"};
constexpr const char* kEmbeddedLabel = "qpcseal";
constexpr std::size_t kAudSize = 16, kPinEntropy = 16;  // bytes
constexpr std::size_t kMaxTrustName = 100;              // bytes, of a file in an archive (tar)

void check_options(const InitOptions& options, const Home& home) {
  const auto refuse = [](const char* why) { throw Error(ErrorKind::Usage, why); };
  if (!options.insecure_demo && options.officers.empty()) refuse("--officers is missing: who may approve?");
  if (!options.embedded && options.module.empty()) refuse("--module is missing (or --embedded)");
  if (!options.embedded && options.token_label.empty()) refuse("--token is missing");
  if (!tlog::is_key_name(options.appliance_id))
    refuse("--appliance-id: letters, digits and punctuation but '+', 1 to 128");
  if (options.appliance_id == policy::kAnyAppliance)
    refuse("--appliance-id: 'any' is what a policy says that names no appliance");
  if (options.pin_source.starts_with("file:") && !options.pin_source.starts_with("file:/"))
    refuse("--pin-source: an absolute path behind 'file:'");
  if (std::filesystem::exists(home.site()) || std::filesystem::exists(home.log()))
    throw Error(ErrorKind::Io, home.root.string() + " already exists and holds an appliance",
                "choose another QPCSEAL_HOME");
}

void make_home(const Home& home) {
  std::filesystem::create_directories(home.root.parent_path());
  make_folder(home.root);
  make_folder(home.reports());
  make_folder(home.trust());
}

void write_text(const std::filesystem::path& path, std::string_view text) {
  write_file(path, view(text), Existing::Refuse, 0600);
}

void copy_trust(const std::filesystem::path& from, const Home& home) {
  trust::check_crls(trust::read_trust(from));  // only what can be used comes in
  for (const auto& item : std::filesystem::directory_iterator(from)) {
    const std::string name = item.path().filename();
    if (name.size() > kMaxTrustName || file_kind("trust/" + name) != FileKind::Trust)
      throw Error(ErrorKind::Usage,
                  item.path().string() + ": a backup of the home could not hold a file of this name",
                  "name it in printable ASCII, at most 100 bytes, and not with a dot first");
    write_file(home.trust() / item.path().filename(), read_file(item.path(), 65536), Existing::Refuse, 0600);
  }
}

// A token of our own under the home. In the demo its PIN is random and in a file beside it.
void make_embedded_token(const Home& home, Site& site, const Environment& environment,
                         const InitOptions& options) {
  make_folder(home.tokens());
  prepare_module(home, site);
  if (options.insecure_demo) {
    write_text(home.root / "pin", to_hex(environment.random.bytes(kPinEntropy)) + "\n");
    site.pin_source = "file:" + (home.root / "pin").string();
  }
  const SecretBuffer pin = options.insecure_demo ? read_pin(site.pin_source, std::nullopt, site.token_label)
                                                 : read_new_pin(environment.pin_fd, site.token_label);
  pkcs11::init_token(site.module, site.token_label, pin.bytes());
}

Site site_of(const InitOptions& options) {
  Site site;
  site.module = options.module.empty() ? find_softhsm() : options.module;
  site.token_label = options.token_label.empty() ? kEmbeddedLabel : options.token_label;
  site.embedded = options.embedded;
  site.pin_source = options.pin_source;
  return site;
}

audit::SiteFacts facts_of(const InitOptions& options, const Site& site, const Home& home) {
  audit::SiteFacts facts;
  facts.module_sha256 = to_hex(pkcs11::Module::digest_of(site.module));
  facts.module_arguments = without_home(options.module_arguments, home);
  facts.accept = options.accept;
  facts.clock_days = options.clock_days;
  check_facts(facts);
  return facts;
}

void make_keys(pkcs11::Session& session) {
  if (keys::has_signing_keys(session))
    throw Error(ErrorKind::Token, "the token already holds keys of an appliance",
                "use a token of its own for each appliance");
  const auto type = keys::probe_signing(session);
  if (!type) throw Error(ErrorKind::Token, "the token can sign neither with Ed25519 nor with ECDSA P-256");
  keys::generate_signing_key(session, keys::kLogKeyLabel, *type);
  keys::generate_signing_key(session, keys::kSealKeyLabel, *type);
}

Json genesis_of(const Environment& environment, const InitOptions& options, const InitResult& made,
                const audit::SiteFacts& facts) {
  const Home& home = environment.home;
  const Bytes policy = read_file(home.policy(), policy::kMaxPolicySize);
  const policy::Policy parsed = policy::parse_policy(text_view(policy));
  Json out;
  out["aud"] = to_hex(environment.random.bytes(kAudSize));
  out["appliance_id"] = options.appliance_id;
  out["log_key"] = made.log_key;
  out["seal_key"] = to_base64(made.seal_key);
  out["policy"] = {{"digest", sha256_hex(policy)}, {"serial", parsed.serial.value}};
  out["trust"] = to_hex(trust::read_trust(home.trust()).digest);
  out["officers"] = nullptr;
  if (!options.officers.empty())
    out["officers"] = sha256_hex(read_file(home.officers(), approval::kMaxOfficersFile));
  out["insecure_demo"] = options.insecure_demo;
  out["site"] = as_json(facts);
  out["token"] = {{"label", made.token.label},
                  {"serial", made.token.serial},
                  {"model", made.token.model},
                  {"manufacturer", made.token.manufacturer},
                  {"firmware", made.token.firmware}};
  return out;
}

// The files that the log pins, checked before anything is made in the token.
void copy_inputs(const Environment& environment, const InitOptions& options) {
  const Home& home = environment.home;
  const UnixTime now = std::max(environment.clock.now(), build_time());
  const std::string text = read_text_file(options.policy, policy::kMaxPolicySize);
  const policy::Policy policy = policy::parse_policy(text, options.policy.string());
  std::optional<approval::Officers> officers;
  if (!options.officers.empty()) {
    const std::string listed = read_text_file(options.officers, approval::kMaxOfficersFile);
    officers = approval::parse_officers(listed);
    write_text(home.officers(), listed);
  }
  check_policy(policy, {options.appliance_id, officers ? &*officers : nullptr, options.insecure_demo, true},
               now);
  write_text(home.policy(), text);
  copy_trust(options.trust, home);
  if (options.insecure_demo) return;
  const std::vector<std::string> signatures = approval::read_signatures(options.policy_signatures);
  const auto approvers = check_first_signatures(policy, text, officers.value(), signatures, now);
  archive_approval(home, text, ".signed", approval::counted(signatures, approvers));
}

InitResult build(const Environment& environment, const InitOptions& options) {
  const Home& home = environment.home;
  copy_inputs(environment, options);
  Site site = site_of(options);
  audit::SiteFacts facts = facts_of(options, site, home);
  const audit::Lock lock(home.lock(), environment.lock_timeout, environment.on_wait);
  if (site.embedded) make_embedded_token(home, site, environment, options);
  const SecretBuffer pin = read_pin(site.pin_source, environment.pin_fd, site.token_label);
  const pkcs11::Module module(site.module, module_digest(facts), with_home(facts.module_arguments, home));
  InitResult result;
  result.token = module.token(site.token_label, "");
  pkcs11::Session session(module, result.token, pkcs11::Access::ReadWrite);
  session.login(pin);
  make_keys(session);
  result.lacking = keys::probe_desired(session);
  result.anchor = facts.anchor = keys::can_anchor(session);
  keys::SigningKey log_key(session, keys::kLogKeyLabel), seal_key(session, keys::kSealKeyLabel);
  keys::LogSigner signer(log_key);
  result.log_key = tlog::VerifierKey(options.appliance_id, signer.type(), signer.public_key()).text();
  result.seal_key = seal_key.spki();
  keys::TokenAnchor anchor(session);
  const audit::Log log =
      audit::Log::create({home.log(), environment.clock, environment.random,
                          "qpcseal " + std::string(software_version()), result.anchor ? &anchor : nullptr},
                         signer, options.appliance_id, genesis_of(environment, options, result, facts));
  result.genesis = to_hex(log.tree().leaf(0));
  site.token_serial = result.token.serial;
  if (site.embedded) TokenGuard(home).keep();
  write_text(home.site(), site.text(home));  // last: a home without it is no appliance
  return result;
}

}  // namespace

std::string find_softhsm() {
  const auto* found = std::find_if(std::begin(kSoftHsmPaths), std::end(kSoftHsmPaths),
                                   [](const char* path) { return std::filesystem::exists(path); });
  if (found == std::end(kSoftHsmPaths))
    throw Error(ErrorKind::Token, "SoftHSM2 is not installed",
                "apt install softhsm2, or name another token by --module");
  return *found;
}

InitResult init(const Environment& environment, const InitOptions& options) {
  const Home& home = environment.home;
  check_options(options, home);
  const bool existed = std::filesystem::exists(home.root);
  if (existed && !std::filesystem::is_empty(home.root))
    throw Error(ErrorKind::Io, home.root.string() + " already exists and is not empty",
                "choose another QPCSEAL_HOME");
  make_home(home);
  try {
    check_ownership(home);
    return build(environment, options);
  } catch (...) {
    std::error_code ignored;
    for (const auto& item : std::filesystem::directory_iterator(home.root, ignored))
      std::filesystem::remove_all(item, ignored);
    if (!existed) std::filesystem::remove(home.root, ignored);
    throw;
  }
}

}  // namespace qpcseal::site
