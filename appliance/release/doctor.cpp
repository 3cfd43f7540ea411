#include "appliance/release/doctor.h"

#include <algorithm>
#include <optional>

#include "appliance/release/pin.h"
#include "base/error.h"

namespace qpcseal::release {

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

}  // namespace

Diagnosis diagnose(const Environment& environment, const Site& site, std::optional<audit::SiteFacts> facts) {
  if (!facts) check_ownership(environment.home);
  std::optional<audit::Lock> lock;  // without a home there is no log, and no file that is ours to lock
  if (!environment.home.root.empty())
    lock.emplace(environment.home.lock(), environment.lock_timeout, environment.on_wait);
  if (!facts) facts = audit::find_position(environment.home.log()).state.site;
  prepare_module(environment.home, site);
  Diagnosis out;
  out.module = site.module;
  out.module_sha256 = facts->module_sha256;
  out.accepted = facts->accept;
  const pkcs11::Module module(site.module, module_digest(*facts),
                              with_home(facts->module_arguments, environment.home));
  const SecretBuffer pin = read_pin(site.pin_source, environment.pin_fd, site.token_label);
  out.token = module.token(site.token_label, site.token_serial);
  pkcs11::Session session(module, out.token, pkcs11::Access::ReadWrite);
  session.login(pin);
  try_gcm(session, out);
  out.signing = keys::probe_signing(session);
  out.suites = keys::probe_suites(session);
  out.lacking = keys::probe_desired(session);
  out.anchor = can_anchor(session);
  judge(out);
  return out;
}

}  // namespace qpcseal::release
