// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/appliance.h"

#include <algorithm>

#include "appliance/site/archive.h"
#include "appliance/site/health.h"
#include "appliance/site/home_swap.h"
#include "appliance/site/key_census.h"
#include "appliance/site/log_key.h"
#include "appliance/site/logged_act.h"
#include "appliance/site/pending_wraps.h"
#include "appliance/site/seen_checkpoints.h"
#include "base/error.h"
#include "base/file.h"
#include "base/temporary.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

// What a killed run left under temporary names. The lock is ours, so that no other run writes here.
void remove_temporaries(const Home& home) {
  for (const auto& dir : {home.root, home.log(), home.reports(), home.approvals(), home.trust(),
                          home.witness(), home.token_copies()})
    qpcseal::remove_leftovers(dir);
}

}  // namespace

Json with_approval(Json intent, const Json& approval) {
  if (!approval.is_null()) intent["approval"] = approval;
  return intent;
}

Appliance::Appliance(const Environment& environment, const Repair& repair)
    : home_(environment.home),
      approvals_(environment.approvals),
      clock_(environment.clock),
      random_(environment.random),
      image_(environment.image) {
  check_ownership(home_);
  site_ = Site::read(home_.site());
  lock_.emplace(home_.lock(), environment.lock_timeout, environment.on_wait);
  settle_restore(home_);
  make_home_folders(home_.root);
  environment.urgent ? give_up_reserve(home_) : keep_reserve(home_);
  remove_temporaries(home_);
  audit::LogCursor at = audit::find_position(home_.log());
  const bool repairs = repair.site || repair.accept_anchor;
  if (!repairs && !environment.urgent) expect_image(at.state.site, image_);
  for (const std::string& file : put_back_lost(home_, at.state))
    if (environment.on_warning)
      environment.on_warning(file +
                             " was gone; it is put back as the log names it, from the copy in approvals/");
  std::optional<AgreedSite> agreed;
  if (repair.site) agreed = agree_to_site(home_, approvals_, repair, clock_.now());
  if (repair.site && repair.site->module) site_.module = *repair.site->module;
  const audit::SiteFacts facts = agreed ? agreed->now : at.state.site;
  prepare_module(home_, site_);
  // Before files from outside are read, not only before the module is loaded.
  if (environment.before_module) environment.before_module(home_, site_, facts);
  if (environment.look)
    look_ahead(home_, at, approvals_, image_, clock_.now(), environment.confirmed_date.has_value(),
               environment.look);
  if (environment.confirm) environment.confirm();
  open_token(environment, facts);
  const std::string log_key = find_log_key(*session_, home_.log());
  open_log(environment, std::move(at), repair, log_key);
  const audit::HeldClock held(*log_);
  log_restored();
  check_against_genesis();
  check_witnesses(home_, *log_);
  if (agreed) change_site(*agreed, repair.site->module);
  const auto go_on = [&] {
    retire_log_keys(*session_, log_key);
    reconcile();
    PendingWraps::forget_closed(home_, log_->state());
    settle_pin(environment);
    policy_ = read_policy(home_, log_->state());
    trust_ = read_pinned_trust(home_, log_->state());
    keep_in_force(home_, log_->state(), trust_);
    judge_clock(environment.confirmed_date);
  };
  const bool repaired = agreed || repair.accept_anchor;
  if (repaired)
    after_result("the repair is done", "'qpcseal site show' prints what is in force", go_on);
  else
    go_on();
  // So far all else was an earlier run's act.
  if (environment.status != nullptr) environment.status->acted = repaired;
  if (!environment.on_warning) return;
  for (const keys::Mek& mek : missing_) environment.on_warning(missing_text(mek));
  if (const std::string notice = policy_notice(policy_.expires.value, now(), kPolicyReminder);
      !notice.empty())
    environment.on_warning(notice);
}

// In place: the log holds on to its signer, and the signer to its key.
void Appliance::find_keys_again() {
  const std::string log_key = find_log_key(*session_, home_.log());
  log_key_.emplace(*session_, log_key);
  seal_key_.emplace(*session_, keys::kSealKeyLabel);
}

// After the log has what became of the change. The next start tries again what fails here.
void Appliance::settle_pin(const Environment& environment) {
  try {
    if (pin_taken_ != PinTaken::Given) settle_pin_file(*pin_file_path(site_.pin_source), pin_taken_);
  } catch (const Error& error) {
    if (environment.on_warning)
      environment.on_warning(std::string("a change of the PIN is not settled: ") + error.what());
  }
}

UnixTime Appliance::now() const { return outlook().now(); }

bool Appliance::insecure_demo() const { return outlook().insecure_demo(); }

void Appliance::check_against_genesis() {
  expect_same("the seal key", to_base64(seal_key_->spki()),
              encoding::text_member(log_->state().genesis, "seal_key"));
}

namespace {

std::string why_not(const std::string& state) {
  if (state == "suspended") return "an officer suspended it; 'qpcseal mek resume' puts it back";
  if (state == "destroying" || state == "destroyed") return "it is destroyed, or about to be";
  return "its making was cut short; make another key";
}

}  // namespace

keys::Mek Appliance::find_present(const std::string& reference) {
  try {
    return keys::find_mek(*session_, reference);
  } catch (const Error& error) {
    if (error.code() != keys::kUnknownMek) throw;
    for (const auto& [id, mek] : log_->state().meks)
      if (mek.state == "destroyed" && mek.label == reference)
        throw Error(ErrorKind::Token, reference + " is destroyed",
                    "'qpcseal audit show --mek " + reference + "' says when, and who agreed")
            .with_code(keys::kUnknownMek);
    throw;
  }
}

keys::Mek Appliance::find_mek(const std::string& reference) {
  if (const auto lost = find_missing(reference))
    throw Error(ErrorKind::Token, missing_text(*lost), missing_hint(*lost));
  keys::Mek mek = find_present(reference);
  const auto known = log_->state().meks.find(mek.id);
  if (known == log_->state().meks.end() || known->second.label != mek.label)
    throw Error(ErrorKind::Denied,
                mek.object.name + " is in the token but not in the log: this appliance did not make it");
  if (known->second.state != "ok")
    throw Error(ErrorKind::Denied,
                mek.object.name + " may not be used: its state is '" + known->second.state + "'",
                why_not(known->second.state));
  return mek;
}

bool Appliance::is_missing(ByteView id) const {
  return std::ranges::any_of(missing_, [&](const keys::Mek& mek) { return equal(mek.id, id); });
}

std::optional<keys::Mek> Appliance::find_missing(const std::string& reference) const {
  for (const keys::Mek& mek : missing_) {
    if (mek.label == reference) return mek;
    if (mek.name != reference) continue;
    const auto newer = [&](const auto& item) {
      const audit::MekHistory& other = item.second;
      return keys::name_in(other.label) == mek.name && other.generation > mek.generation &&
             (other.state == "ok" || other.state == "suspended");
    };
    if (std::ranges::none_of(log_->state().meks, newer)) return mek;
  }
  return std::nullopt;
}

void Appliance::refuse_wrap_only(const keys::Mek& mek) const {
  const auto known = log().state().meks.find(mek.id);
  if (known == log().state().meks.end() || known->second.origin != "restored") return;
  throw Error(ErrorKind::Denied,
              mek.label + " is restored from a backup and only wraps: its source may still encrypt",
              "when the source is destroyed, restore it again with the receipt of that (--retirement)");
}

std::unique_ptr<seal::KeyHandle> Appliance::open_key(const keys::Mek& mek) {
  refuse_wrap_only(mek);
  return std::make_unique<keys::TokenKey>(*module_, token_, mek, pkcs11::probe_gcm(*session_), random_);
}

Outlook Appliance::outlook() const {
  return {home_,
          approvals_,
          image_,
          log_->state(),
          policy_,
          clock_.now(),
          [this]() -> const tlog::Tree& { return log_->tree(); },
          [this] { log_->check_clock(); },
          true};
}

Json Appliance::approve(const std::string& operation, const Json& parameters) {
  if (authority_) {
    require_genesis(outlook());
    if (operation != kStopsKey) log_->check_clock();
    return authority_(operation, parameters);
  }
  const auto judgement = judge_act(outlook(), operation, parameters);
  if (!judgement) return nullptr;
  archive_approval(home_, judgement->request, ".request", judgement->signatures);
  if (!judgement->rejecters.empty()) reject(operation, *judgement);
  return judgement->record;
}

void Appliance::refuse_expired_policy() const { site::refuse_expired_policy(outlook()); }

void Appliance::reject(const std::string& operation, const approval::ApprovalResult& judgement) {
  Json data = approval::rejection_data(operation, encoding::text_member(judgement.record, "nonce"),
                                       encoding::text_member(judgement.record, "request_sha256"),
                                       judgement.rejecters);
  const Json parameters = approval::parse_approval_request(judgement.request).parameters;
  for (const char* name : {"mek", "name", "model"})  // for readers of the log, who do not have the request
    if (const auto found = parameters.find(name); found != parameters.end() && found->is_string())
      data[name == std::string("name") ? "mek" : name] = *found;
  log_->event("rejection", std::move(data));
  throw Error(ErrorKind::ApprovalsMissing,
              "'" + operation + "' was rejected by " + approval::approver_names(judgement.rejecters),
              "the log records it; that request can no longer be used");
}

}  // namespace qpcseal::site
