// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/init.h"

#include <algorithm>
#include <optional>

#include "appliance/approval/officers.h"
#include "appliance/site/archive.h"
#include "appliance/site/doctor.h"
#include "appliance/site/pin.h"
#include "appliance/site/pinned_files.h"
#include "appliance/site/unfinished_init.h"
#include "appliance/site/vouched.h"
#include "base/error.h"
#include "base/file.h"
#include "base/program.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

constexpr const char* kSoftHsmPaths[] = {"/usr/lib/softhsm/libsofthsm2.so",
                                         "/usr/lib64/softhsm/libsofthsm2.so",
                                         "/usr/local/lib/softhsm/libsofthsm2.so"};
constexpr const char* kEmbeddedLabel = "qpcseal";
constexpr std::size_t kAudSize = 16, kPinEntropy = 16;  // bytes
constexpr std::size_t kMaxTrustName = 100;              // bytes, of a file in an archive (tar)

void check_options(const InitOptions& options) {
  const auto refuse = [](const char* why) { throw Error(ErrorKind::Usage, why); };
  if (options.appliance_id.empty()) refuse("--appliance-id is missing");
  if (options.policy.empty()) refuse("--policy is missing");
  if (options.trust.empty()) refuse("--trust is missing");
  if (!options.insecure_demo && options.officers.empty()) refuse("--officers is missing: who may approve?");
  if (!options.embedded && options.module.empty()) refuse("--module is missing (or --embedded)");
  if (!options.embedded && options.token.empty()) refuse("--token is missing (or --serial, or --slot)");
  if (options.embedded && (!options.token.serial.empty() || options.token.slot))
    refuse("--serial and --slot choose a token that is there; --embedded makes one");
  if (!tlog::is_key_name(options.appliance_id))
    refuse("--appliance-id: letters, digits and punctuation but '+', 1 to 128");
  if (options.appliance_id == policy::kAnyAppliance)
    refuse("--appliance-id: 'any' is what a policy says that names no appliance");
  if (options.pin_source.starts_with("file:") && !options.pin_source.starts_with("file:/"))
    refuse("--pin-source: an absolute path behind 'file:'");
  if (options.embedded && options.pin_source == kPinPad) refuse("--embedded: that token has no PIN pad");
}

void check_home(const Home& home) {
  if (read_unfinished_init(home))
    throw Error(
        ErrorKind::Io, "an init was cut short in " + home.root.string(),
        "'qpcseal init --resume' with all options begins again, 'qpcseal init --undo' removes what it made");
  if (std::filesystem::exists(home.site()) || std::filesystem::exists(home.log()))
    throw Error(ErrorKind::Io, home.root.string() + " already exists and holds an appliance",
                "choose another QPCSEAL_HOME");
  if (std::filesystem::exists(home.root) && !std::filesystem::is_empty(home.root))
    throw Error(ErrorKind::Io, home.root.string() + " already exists and is not empty",
                "choose another QPCSEAL_HOME");
}

// What an init has made so far.
struct Progress {
  UnfinishedInit made;
  bool keys_left = false;  // it failed, and its keys could not be taken out of the token
};

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

// The PIN that a new token gets: of a descriptor, of a file as it stands there, else typed twice.
SecretBuffer new_pin(const Site& site, const Environment& environment) {
  if (!environment.pin_fd && site.pin_source.starts_with(kFilePrefix))
    return read_pin(site.pin_source, std::nullopt, site.token_label);
  return read_new_pin(environment.pin_fd, site.token_label);
}

// A token of our own under the home. In the demo its PIN is random and in a file beside it. Returns the PIN.
SecretBuffer make_embedded_token(const Home& home, Site& site, const Environment& environment,
                                 const InitOptions& options) {
  make_folder(home.tokens());
  prepare_module(home, site);
  if (options.insecure_demo) {
    write_text(home.root / "pin", to_hex(environment.random.bytes(kPinEntropy)) + "\n");
    site.pin_source = "file:" + (home.root / "pin").string();
  }
  SecretBuffer pin = options.insecure_demo ? read_pin(site.pin_source, std::nullopt, site.token_label)
                                           : new_pin(site, environment);
  pkcs11::init_token(site.module, site.token_label, pin.bytes());
  return pin;
}

Site site_of(const InitOptions& options) {
  Site site;
  site.module = options.module.empty() ? find_softhsm() : options.module;
  site.token_label = options.embedded && options.token.label.empty() ? kEmbeddedLabel : options.token.label;
  site.embedded = options.embedded;
  site.pin_source = options.pin_source;
  site.module_files = options.module_files;
  return site;
}

audit::SiteFacts facts_of(const Environment& environment, const InitOptions& options, const Site& site) {
  audit::SiteFacts facts;
  facts.module_sha256 = to_hex(pkcs11::Module::digest_of(site.module));
  facts.module_arguments = without_home(options.module_arguments, environment.home);
  facts.accept = options.accept;
  facts.clock_days = options.clock_days;
  facts.image = environment.image.root_hash;
  if (!environment.image.why_not.empty() && environment.on_warning)
    environment.on_warning("no image goes into the site's facts: " + environment.image.why_not);
  check_facts(facts);
  return facts;
}

// Everything that doctor asks, before a key is made that would stay in the token.
Diagnosis check_token(pkcs11::Session& session, const audit::SiteFacts& facts) {
  if (keys::has_signing_keys(session))
    throw Error(ErrorKind::Token, "the token already holds keys of an appliance",
                "use a token of its own for each appliance");
  // Of trials that were cut short; nothing else of the token is ours to judge.
  for (const keys::Leftover& left : keys::list_contents(session).leftovers)
    if (left.probe) session.destroy(left.object);
  Diagnosis found = probe(session, facts.accept);
  if (found.faults.empty()) return found;
  std::string faults;
  for (const std::string& fault : found.faults) faults += (faults.empty() ? "" : "; ") + fault;
  throw Error(
      ErrorKind::Token, "this token cannot serve: " + faults,
      "'qpcseal doctor --module MODULE --token LABEL' shows all that it can do; --accept NAME takes an "
      "attribute that it lacks");
}

void make_keys(pkcs11::Session& session, keys::SigningType type, ByteView id) {
  keys::generate_signing_key(session, keys::kLogKeyLabel, type, init_key_id(id, 1));
  keys::generate_signing_key(session, keys::kSealKeyLabel, type, init_key_id(id, 2));
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

// Keys, log and site.toml: what is made behind the checks, and undone where a step fails.
void make_appliance(const Environment& environment, const InitOptions& options, const Site& site,
                    audit::SiteFacts& facts, pkcs11::Session& session, const Diagnosis& found,
                    ByteView key_id, InitResult& result) {
  const Home& home = environment.home;
  result.lacking = found.lacking;
  result.anchor = facts.anchor = found.anchor;
  result.image = facts.image;
  make_keys(session, found.signing.value(), key_id);
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
  if (site.embedded) TokenGuard(home).keep();
  write_text(home.site(), site.text(home));  // last: a home without it is no appliance
}

// The keys of an init that failed leave the token; where they cannot, the error says so and the home stays.
[[noreturn]] void give_up(pkcs11::Session& session, Progress& progress, const Error& error) {
  try {
    remove_init_keys(session, progress.made.key_id);
  } catch (const Error& behind) {
    progress.keys_left = true;
    throw Error(
        error.kind(),
        std::string(error.what()) + "; and the keys that it made are still in the token: " + behind.what(),
        "'qpcseal init --undo' removes them", error.findings());
  }
  throw error;
}

// Later commands find it by its label and its serial.
pkcs11::TokenInfo choose_token(const pkcs11::Module& module, const InitOptions& options, Site& site) {
  pkcs11::TokenChoice choice = options.token;
  if (site.embedded) choice.label = site.token_label;
  pkcs11::TokenInfo token = find_token(module, choice);
  site.token_label = token.label;
  site.token_serial = token.serial;
  static_cast<void>(find_token(module, {site.token_label, site.token_serial, {}}));
  return token;
}

InitResult build(const Environment& environment, const InitOptions& options, Progress& progress) {
  const Home& home = environment.home;
  copy_inputs(environment, options);
  Site site = site_of(options);
  audit::SiteFacts facts = facts_of(environment, options, site);
  const audit::Lock lock(home.lock(), environment.lock_timeout, environment.on_wait);
  if (environment.before_module) environment.before_module(home, site, facts);
  std::optional<SecretBuffer> pin;
  if (site.embedded) pin = make_embedded_token(home, site, environment, options);
  const pkcs11::Module module(site.module, module_digest(facts), with_home(facts.module_arguments, home));
  InitResult result;
  result.token = choose_token(module, options, site);
  if (!pin) pin = read_pin(site.pin_source, environment.pin_fd, site.token_label);
  pkcs11::Session session(module, result.token, pkcs11::Access::ReadWrite);
  session.login(*pin, environment.last_try);
  const Diagnosis found = check_token(session, facts);
  progress.made = {progress.made.made_home, site, facts.module_sha256, facts.module_arguments,
                   environment.random.bytes(kInitKeyId)};
  write_unfinished_init(home, progress.made);  // before the token has a key
  try {
    make_appliance(environment, options, site, facts, session, found, progress.made.key_id, result);
  } catch (const std::exception& error) {
    if (site.embedded) throw;  // its objects go with the home's files
    give_up(session, progress, as_error(error));
  }
  remove_unfinished_init(home);
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
  check_options(options);
  check_home(home);
  Progress progress;
  progress.made.made_home = !std::filesystem::exists(home.root);
  std::filesystem::create_directories(home.root.parent_path());
  make_folder(home.root);
  try {
    check_ownership(home);
    write_unfinished_init(home, progress.made);
    make_folder(home.reports());
    make_folder(home.trust());
    return build(environment, options, progress);
  } catch (...) {
    if (!progress.keys_left) remove_init_files(home, progress.made.made_home);
    throw;
  }
}

}  // namespace qpcseal::site
