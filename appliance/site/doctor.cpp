// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/doctor.h"

#include <algorithm>
#include <optional>

#include "appliance/site/key_census.h"
#include "appliance/site/pin.h"
#include "appliance/site/token_health.h"
#include "base/error.h"

namespace qpcseal::site {

namespace {

// A trial that cannot be made is a fault of the token, and no end of the others. False where it was not made.
template <typename Trial>
bool attempt(const char* what, Diagnosis& out, Trial trial) {
  try {
    trial();
    return true;
  } catch (const Error& error) {
    out.faults.push_back(std::string(what) + ": " + error.what());
    return false;
  }
}

void judge_attributes(Diagnosis& out) {
  for (const std::string& name : out.lacking)
    if (std::find(out.accepted.begin(), out.accepted.end(), name) == out.accepted.end())
      out.faults.push_back("keys cannot be made '" + name + "', and the site's facts do not accept that");
}

// A token that was initialized anew has the old label and none of the keys.
void compare_keys(pkcs11::Session& session, const audit::State& state, Diagnosis& out) {
  if (keys::log_key_labels(session).empty())
    out.faults.emplace_back(
        "the log's key is not in the token: it is another token, or was initialized anew");
  attempt("the seal key", out, [&] {
    if (to_base64(keys::SigningKey(session, keys::kSealKeyLabel).spki()) !=
        encoding::text_member(state.genesis, "seal_key"))
      throw Error(ErrorKind::Token, "it is not the one that the log names");
  });
}

void compare_with_log(const Home& home, pkcs11::Session& session, const keys::TokenContents& contents,
                      Diagnosis& out) {
  if (!std::filesystem::exists(home.log())) return;
  out.checks = look_at_token(session, home);
  try {
    const audit::State state = audit::read_log(home.log(), std::nullopt).state;
    compare_keys(session, state, out);
    for (const keys::Mek& mek : missing_keys(contents.meks, state))
      out.faults.push_back(missing_text(mek) + "; " + missing_hint(mek));
  } catch (const Error& error) {
    out.faults.push_back(std::string("the audit log: ") + error.what());
  }
}

// The module of a target, and what must be held while it is open.
struct OpenModule {
  std::optional<audit::Lock> lock;  // without a home there is no log, and no file that is ours to lock
  std::optional<TokenGuard> guard;
  audit::SiteFacts facts;
  std::optional<pkcs11::Module> module;

  OpenModule(const Environment& environment, const DoctorTarget& target) {
    const Home& home = environment.home;
    if (!target.facts) check_ownership(home);
    if (target.site.embedded && is_read_only(home))
      throw Error(ErrorKind::Io,
                  home.root.string() + " cannot be written to, and the embedded token writes at every login",
                  "'qpcseal audit verify', 'policy show' and 'mek list' read it as it is");
    if (!home.root.empty())
      lock = audit::lock_to_read(home.lock(), environment.lock_timeout, environment.on_wait);
    facts = target.facts ? *target.facts : audit::find_position(home.log()).state.site;
    prepare_module(home, target.site);
    if (environment.before_module) environment.before_module(home, target.site, facts);
    if (target.site.embedded) guard.emplace(home).prepare();
    module.emplace(target.site.module, module_digest(facts), with_home(facts.module_arguments, home));
  }
};

pkcs11::TokenChoice choice_of(const DoctorTarget& target) {
  if (!target.token.empty()) return target.token;
  return {target.site.token_label, target.site.token_serial, {}};
}

Subject subject_of(const OpenModule& open, const Site& site, const pkcs11::TokenInfo& token) {
  return {site.module, open.facts.module_sha256, token};
}

}  // namespace

Diagnosis probe(pkcs11::Session& session, const std::vector<std::string>& accepted) {
  Diagnosis out;
  out.accepted = accepted;
  attempt("AES-GCM does not work", out, [&] { out.gcm = pkcs11::probe_gcm(session); });
  if (attempt("signing", out, [&] { out.signing = keys::probe_signing(session); }) && !out.signing)
    out.faults.emplace_back("it can sign neither with Ed25519 nor with ECDSA P-256");
  if (attempt("wrapping", out, [&] { out.suites = keys::probe_suites(session); }) && out.suites.empty())
    out.faults.emplace_back("no wrap suite works");
  if (attempt("key attributes", out, [&] { out.lacking = keys::probe_desired(session); }))
    judge_attributes(out);
  attempt("log anchor", out, [&] { out.anchor = keys::can_anchor(session); });
  return out;
}

Diagnosis diagnose(const Environment& environment, const DoctorTarget& target) {
  const Site& site = target.site;
  OpenModule open(environment, target);
  const pkcs11::TokenChoice choice = choice_of(target);
  const pkcs11::TokenInfo token = find_token(*open.module, choice);
  if (token.read_only) {  // every trial would fail, each for a reason of its own
    Diagnosis out;
    static_cast<Subject&>(out) = subject_of(open, site, token);
    out.probed = false;
    out.faults.emplace_back("the token is read-only (CKF_WRITE_PROTECTED): no key can be made in it");
    return out;
  }
  const SecretBuffer pin = read_pin(site.pin_source, environment.pin_fd, choice.name());
  pkcs11::Session session(*open.module, token, pkcs11::Access::ReadWrite);
  static_cast<void>(login_user(*open.module, session, pin,
                               environment.pin_fd ? std::nullopt : pin_file_path(site.pin_source),
                               environment.last_try));
  if (open.guard) open.guard->check_login();
  keys::TokenContents contents = keys::list_contents(session);
  Diagnosis out = probe(session, open.facts.accept);
  static_cast<Subject&>(out) = subject_of(open, site, token);
  compare_with_log(environment.home, session, contents, out);
  out.leftovers = std::move(contents.leftovers);
  return out;
}

std::vector<pkcs11::ListedToken> list_tokens(const Environment& environment, const DoctorTarget& target) {
  const OpenModule open(environment, target);
  return pkcs11::list_tokens(*open.module);
}

}  // namespace qpcseal::site
