// SPDX-License-Identifier: Apache-2.0
// How an appliance is opened: module, token and log, each held against what the log says; and its clock.
#include <algorithm>

#include "appliance/site/appliance.h"
#include "appliance/site/log_key.h"
#include "appliance/site/logged_act.h"
#include "appliance/site/pin.h"
#include "attest/certpath.h"
#include "base/error.h"
#include "base/file.h"
#include "pkcs11/token_choice.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

// The end of the newest CRL, where a class of cards wants them. One that cannot be read ends nothing here: no
// report passes with it.
std::optional<UnixTime> end_of_crls(const policy::Policy& policy, const trust::Trust& trust) {
  const auto wants = [](const policy::DeviceClass& device) { return device.crl_required.value; };
  if (std::ranges::none_of(policy.devices, wants)) return std::nullopt;
  std::optional<UnixTime> newest;
  for (const trust::TrustFile& crl : trust.crls) {
    try {
      newest = std::max(newest.value_or(0), attest::read_crl(crl.der).next_update);
    } catch (const Error&) {
      continue;
    }
  }
  return newest;
}

}  // namespace

void Appliance::open_token(const Environment& environment, const audit::SiteFacts& facts) {
  const SecretBuffer pin = read_pin(site_.pin_source, environment.pin_fd, site_.token_label);
  if (site_.embedded) guard_.emplace(home_).prepare();
  module_.emplace(site_.module, module_digest(facts), with_home(facts.module_arguments, home_));
  token_ = pkcs11::find_token(*module_, {site_.token_label, site_.token_serial, {}});
  session_.emplace(*module_, token_, pkcs11::Access::ReadWrite);
  pin_taken_ =
      login_user(*module_, *session_, pin,
                 environment.pin_fd ? std::nullopt : pin_file_path(site_.pin_source), environment.last_try);
  if (!guard_) return;
  guard_->check_login();
  session_->on_destroy([this] { guard_->before_destroy(); });
}

void Appliance::sync_token() {
  if (guard_) guard_->keep();
}

void Appliance::open_log(const Environment& environment, audit::LogCursor at, const Repair& repair,
                         const std::string& log_key) {
  log_key_.emplace(*session_, log_key);
  seal_key_.emplace(*session_, keys::kSealKeyLabel);
  signer_.emplace(*log_key_);
  anchor_.emplace(*session_, [this] { sync_token(); });
  audit::LogSettings settings{home_.log(),       clock_,
                              random_,           "qpcseal " + std::string(software_version()),
                              &*anchor_,         audit::kSnapshotEvery,
                              environment.status};
  if (guard_) settings.before_append = [this](bool done) { done ? sync_token() : guard_->look_after(); };
  log_.emplace(audit::Log::open(settings, *signer_, std::move(at),
                                repair.accept_anchor ? audit::OldAnchor::Accept : audit::OldAnchor::Refuse));
  if (repair.accept_anchor) accept_anchor(repair);
}

void Appliance::accept_anchor(const Repair& repair) {
  const audit::LogCopy copy = audit::read_log(home_.log(), std::nullopt);
  Json approval;
  if (log_->has_old_anchor())
    approval = approve_repair(home_, copy, approvals_, repair.yes, now(), "anchor-accept",
                              anchor_parameters(to_string(log_->anchor()), copy.checkpoint));
  log_->accept_anchor(approval);
}

void Appliance::log_restored() {
  if (!guard_) return;
  Json restored = guard_->restored();
  if (restored.is_null()) return;
  log_->event("token-restored", std::move(restored));
  guard_->forget_restored();
}

void Appliance::change_site(const AgreedSite& agreed, const std::optional<std::string>& module) {
  log_->event("site", with_approval({{"old", as_json(agreed.before)}, {"new", as_json(agreed.now)}},
                                    agreed.approval));
  if (!module) return;
  after_result("the site's facts are changed",
               "the same command once more puts the module's path into site.toml",
               [&] { write_file(home_.site(), view(site_.text(home_)), Existing::Replace, 0600); });
}

void Appliance::judge_clock(const std::optional<std::string>& confirmed_date) {
  log_->limit_clock(policy_.expires.value, "the policy");
  if (const auto end = end_of_crls(policy_, trust_)) log_->limit_clock(*end, "the newest revocation list");
  if (!confirmed_date) return;
  const std::string today = format_time(clock_.now()).substr(0, audit::kDateSize);
  if (*confirmed_date != today)
    throw Error(ErrorKind::Usage, "--clock " + *confirmed_date + ": the clock says " + today + " (UTC)",
                "set the workstation's clock, or give the date of today");
  log_->confirm_clock();
}

}  // namespace qpcseal::site
