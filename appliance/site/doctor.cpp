// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/doctor.h"

#include <algorithm>
#include <optional>

#include "appliance/site/key_census.h"
#include "appliance/site/pin.h"
#include "base/error.h"

namespace qpcseal::site {

namespace {

void try_gcm(pkcs11::Session& session, Diagnosis& out) {
  try {
    out.gcm = pkcs11::probe_gcm(session);
  } catch (const Error& error) {
    out.faults.push_back(std::string("AES-GCM does not work: ") + error.what());
  }
}

void judge(Diagnosis& out) {
  if (!out.signing) out.faults.emplace_back("it can sign neither with Ed25519 nor with ECDSA P-256");
  if (out.suites.empty()) out.faults.emplace_back("no wrap suite works");
  for (const std::string& name : out.lacking)
    if (std::find(out.accepted.begin(), out.accepted.end(), name) == out.accepted.end())
      out.faults.push_back("keys cannot be made '" + name + "', and the site's facts do not accept that");
}

// Before anything is made: all that is half made is an earlier run's.
void compare_with_log(const Home& home, pkcs11::Session& session, Diagnosis& out) {
  keys::TokenContents contents = keys::list_contents(session);
  out.leftovers = std::move(contents.leftovers);
  if (!std::filesystem::exists(home.log())) return;
  try {
    const audit::State state = audit::read_log(home.log(), std::nullopt).state;
    for (const keys::Mek& mek : missing_keys(contents.meks, state))
      out.faults.push_back(missing_text(mek) + "; " + missing_hint(mek));
  } catch (const Error& error) {
    out.faults.push_back(std::string("the audit log: ") + error.what());
  }
}

}  // namespace

Diagnosis diagnose(const Environment& environment, const Site& site, std::optional<audit::SiteFacts> facts) {
  if (!facts) check_ownership(environment.home);
  if (site.embedded && is_read_only(environment.home))
    throw Error(ErrorKind::Io,
                environment.home.root.string() +
                    " cannot be written to, and the embedded token writes at every login",
                "'qpcseal audit verify', 'policy show' and 'mek list' read it as it is");
  std::optional<audit::Lock> lock;  // without a home there is no log, and no file that is ours to lock
  if (!environment.home.root.empty())
    lock = audit::lock_to_read(environment.home.lock(), environment.lock_timeout, environment.on_wait);
  if (!facts) facts = audit::find_position(environment.home.log()).state.site;
  prepare_module(environment.home, site);
  std::optional<TokenGuard> guard;
  if (site.embedded) guard.emplace(environment.home).prepare();
  Diagnosis out;
  out.module = site.module;
  out.module_sha256 = facts->module_sha256;
  out.accepted = facts->accept;
  const pkcs11::Module module(site.module, module_digest(*facts),
                              with_home(facts->module_arguments, environment.home));
  const SecretBuffer pin = read_pin(site.pin_source, environment.pin_fd, site.token_label);
  out.token = module.token(site.token_label, site.token_serial);
  pkcs11::Session session(module, out.token, pkcs11::Access::ReadWrite);
  static_cast<void>(
      login_user(module, session, pin, environment.pin_fd ? std::nullopt : pin_file_path(site.pin_source)));
  if (guard) guard->check_login();
  compare_with_log(environment.home, session, out);
  try_gcm(session, out);
  out.signing = keys::probe_signing(session);
  out.suites = keys::probe_suites(session);
  out.lacking = keys::probe_desired(session);
  out.anchor = keys::can_anchor(session);
  judge(out);
  return out;
}

}  // namespace qpcseal::site
