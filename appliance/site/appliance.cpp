#include "appliance/site/appliance.h"

#include <algorithm>
#include <array>

#include "appliance/site/archive.h"
#include "appliance/site/home_swap.h"
#include "appliance/site/key_census.h"
#include "appliance/site/log_key.h"
#include "appliance/site/pending_wraps.h"
#include "appliance/site/pin.h"
#include "appliance/site/pinned_files.h"
#include "appliance/site/witnesses.h"
#include "appliance/trust/collateral_bundle.h"
#include "base/error.h"
#include "base/file.h"
#include "base/temporary.h"

namespace qpcseal::release {

namespace {

using audit::Json;

void expect_same(const std::string& what, const std::string& found, const std::string& logged) {
  if (found != logged)
    throw Error(ErrorKind::Denied,
                what + " is not the one in the log: found " + found + ", logged " + logged);
}

// What a killed run left under temporary names. The lock is ours, so that no other run writes here.
void remove_temporaries(const Home& home) {
  for (const auto& folder : {home.root, home.log(), home.reports(), home.approvals(), home.trust(),
                             home.witness(), home.token_copies()})
    qpcseal::remove_leftovers(folder);
}

}  // namespace

Json with_approval(Json intent, const Json& approval) {
  if (!approval.is_null()) intent["approval"] = approval;
  return intent;
}

policy::Policy read_policy(const Home& home, const audit::State& state) {
  const Bytes bytes = read_file(home.policy(), policy::kMaxPolicySize);
  const std::string digest = sha256_hex(bytes);
  if (digest != state.policy_digest)
    throw Error(ErrorKind::Denied,
                home.policy().string() + " is not the policy in the log: found " + digest + ", logged " +
                    state.policy_digest,
                "a new policy comes in by 'qpcseal policy install'");
  return policy::parse_policy(text_of(bytes));
}

// What the log does not name counts for nothing, and is refused lest somebody think that it counts.
Trust read_pinned_trust(const Home& home, const audit::State& state) {
  const bool bundled = state.collateral_serial > 0;
  Trust trust = read_trust(home.trust());
  expect_same("the trust folder", to_hex(trust.digest), audit::text_member(state.genesis, "trust"));
  if (!bundled && std::filesystem::exists(home.collateral()))
    throw Error(ErrorKind::Denied,
                home.collateral().string() + " is there, and the log has no collateral bundle",
                "a bundle comes in by 'qpcseal trust import'");
  if (bundled) trust = read_collateral_trust(home.collateral(), state.trust_digest);
  trust.crl_floors = state.crl_numbers;
  return trust;
}

Appliance::Appliance(const Environment& environment, const Repair& repair)
    : home_(environment.home),
      approvals_(environment.approvals),
      clock_(environment.clock),
      random_(environment.random) {
  check_ownership(home_);
  site_ = Site::read(home_.site());
  lock_.emplace(home_.lock(), environment.lock_timeout, environment.on_wait);
  settle_restore(home_);
  make_home_folders(home_.root);
  environment.urgent ? give_up_reserve(home_) : keep_reserve(home_);
  remove_temporaries(home_);
  audit::Position at = audit::find_position(home_.log());
  std::optional<AgreedSite> agreed;
  if (repair.site) agreed = agree_to_site(home_, approvals_, repair, clock_.now());
  if (repair.site && repair.site->module) site_.module = *repair.site->module;
  open_token(environment, agreed ? agreed->now : at.state.site);
  const std::string log_key = find_log_key(*session_, home_.log());
  open_log(environment, std::move(at), repair, log_key);
  const audit::HeldClock held(*log_);
  log_restored();
  check_against_genesis();
  check_witnesses(home_, *log_);
  if (agreed) change_site(*agreed, repair.site->module);
  retire_log_keys(*session_, log_key);
  reconcile();
  PendingWraps::forget_closed(home_, log_->state());
  settle_pin(environment);
  policy_ = read_policy(home_, log_->state());
  trust_ = read_pinned_trust(home_, log_->state());
  keep_in_force(home_, log_->state(), trust_);
  judge_clock(environment.confirmed_date);
  if (environment.status != nullptr) environment.status->acted = false;  // so far it was an earlier run's act
  if (!environment.on_warning) return;
  for (const keys::Mek& mek : missing_) environment.on_warning(missing_text(mek));
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
    if (pin_taken_ != PinTaken::Given) settle_pin_file(*pin_file_of(site_.pin_source), pin_taken_);
  } catch (const Error& error) {
    if (environment.on_warning)
      environment.on_warning(std::string("a change of the PIN is not settled: ") + error.what());
  }
}

UnixTime Appliance::now() const { return std::max({clock_.now(), log_->state().last_time, build_time()}); }

bool Appliance::insecure_demo() const { return audit::bool_member(log_->state().genesis, "insecure_demo"); }

void Appliance::check_against_genesis() {
  expect_same("the seal key", to_base64(seal_key_->spki()),
              audit::text_member(log_->state().genesis, "seal_key"));
}

namespace {

std::string why_not(const std::string& state) {
  if (state == "suspended") return "an officer suspended it; 'qpcseal mek resume' puts it back";
  if (state == "destroying" || state == "destroyed") return "it is destroyed, or about to be";
  return "its making was cut short; make another key";
}

}  // namespace

keys::Mek Appliance::find_mek(const std::string& reference) {
  if (const auto lost = find_missing(reference))
    throw Error(ErrorKind::Token, missing_text(*lost), missing_hint(*lost));
  keys::Mek mek = keys::find_mek(*session_, reference);
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

Json Appliance::approve(const std::string& operation, const Json& parameters) {
  if (!log_->state().genesis_accepted && !insecure_demo())
    throw Error(ErrorKind::ApprovalsMissing, "the officers have not signed the genesis yet",
                "'qpcseal genesis show -o FILE', every officer signs it, then 'qpcseal genesis accept'");
  const bool stops_a_key = operation == "mek-suspend";  // whatever the clock says
  if (authority_) {
    if (!stops_a_key) log_->check_clock();
    return authority_(operation, parameters);
  }
  const auto needed = policy_.approvals_for(operation);
  if (!needed)
    throw Error(ErrorKind::Denied,
                "the policy does not allow '" + operation + "': [approvals] does not name it");
  if (!stops_a_key) {
    refuse_expired_policy();
    log_->check_clock();
  }
  if (*needed == 0) return nullptr;
  std::vector<std::string> requests;
  for (const auto& path : approvals_.requests) requests.push_back(read_text_file(path, kMaxApprovalRequest));
  const policy::Officers officers = read_officers(home_.officers(), log_->state());
  const auto was_head = [&](std::uint64_t size, const std::string& root) {
    return size <= log_->tree().size() && to_hex(log_->tree().root(size)) == root;
  };
  const Judgement judgement = judge_approval({log_->state(), was_head, policy_, officers, now()}, operation,
                                             parameters, requests, read_signatures(approvals_.signatures));
  archive_approval(home_, judgement.request, ".request", judgement.signatures);
  if (!judgement.rejecters.empty()) reject(operation, judgement);
  return judgement.record;
}

void Appliance::refuse_expired_policy() const {
  if (now() < policy_.expires.value) return;
  throw Error(
      ErrorKind::Denied,
      "the policy expired at " + format_time(policy_.expires.value) + ", and it is " + format_time(now()),
      "'qpcseal policy install' brings in the next one; where the clock is wrong, set it");
}

void Appliance::reject(const std::string& operation, const Judgement& judgement) {
  log_->event("rejection",
              rejection_data(operation, audit::text_member(judgement.record, "nonce"),
                             audit::text_member(judgement.record, "request_sha256"), judgement.rejecters));
  throw Error(ErrorKind::ApprovalsMissing,
              "'" + operation + "' was rejected by " + names_of(judgement.rejecters),
              "the log records it; that request can no longer be used");
}

}  // namespace qpcseal::release
