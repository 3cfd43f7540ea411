// SPDX-License-Identifier: Apache-2.0
// What an earlier run left between intent and result: looked up in the token, and said in the log.
#include <algorithm>
#include <array>

#include "appliance/keys/backup_file.h"
#include "appliance/keys/recovery_key.h"
#include "appliance/site/appliance.h"
#include "appliance/site/key_census.h"
#include "appliance/site/pinned_files.h"
#include "base/error.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

struct Reconciliation {
  std::string outcome, what;
};

bool creates_key(const std::string& kind) {
  static constexpr std::array<std::string_view, 4> kKinds = {"mek-generate", "mek-rotate", "mek-restore",
                                                             "mek-import"};
  return std::ranges::find(kKinds, kind) != kKinds.end();
}

std::vector<keys::Mek> with_id(const std::vector<keys::Mek>& there, const Json& data) {
  const Bytes id = from_hex(encoding::text_member(data, "mek_id"));
  auto meks = there;
  std::erase_if(meks, [&](const keys::Mek& mek) { return mek.id != id; });
  return meks;
}

// Nobody was told of the key and nothing was done with it: it goes again, and the act has failed whole.
Reconciliation roll_back(pkcs11::Session& session, std::vector<keys::Mek>& there, const Json& data) {
  const auto meks = with_id(there, data);
  if (meks.empty()) return {"failed", "the key is not in the token"};
  try {
    for (const keys::Mek& mek : meks) session.destroy(mek.object);
  } catch (const Error&) {
    return {"unknown", "the key is in the token and does not go"};
  }
  std::erase_if(there, [&](const keys::Mek& mek) { return mek.id == meks.front().id; });
  return {"failed", "the key was in the token and is destroyed again"};
}

// A pair that the log has from before is another act's, and people's backups are wrapped to it.
Reconciliation roll_back_recovery_key(pkcs11::Session& session, const audit::State& state) {
  if (!state.recovery_keys.empty()) {
    std::optional<keys::RecoveryKey> there;
    try {
      there = keys::find_recovery_key(session);
    } catch (const Error& error) {
      return {"unknown", std::string("nothing is destroyed: ") + error.what()};
    }
    if (there && keys::known_recovery_key(state, there->point) != nullptr)
      return {"failed", "the recovery key in the token is an earlier entry's, and stays"};
  }
  keys::destroy_recovery_key(session);
  return {"failed", "the recovery key, where it was made, is destroyed again"};
}

// `there` is what the token holds, and follows what is destroyed here.
Reconciliation look_up(pkcs11::Session& session, std::vector<keys::Mek>& there, const Home& home,
                       const audit::State& state, PinTaken pin, const audit::OpenIntent& intent) {
  if (is_pinned(intent.kind))
    return {was_installed(home, intent) ? "ok" : "failed", "by the file that is there"};
  if (creates_key(intent.kind)) return roll_back(session, there, intent.data);
  if (intent.kind == "mek-expose" && !intent.is_wrapped())
    return {"failed", "the key did not leave the token"};
  if (intent.kind == "mek-destroy")
    return with_id(there, intent.data).empty() ? Reconciliation{"ok", "no key with this id in the token"}
                                               : Reconciliation{"failed", "the key is in the token"};
  if (intent.kind == "recovery-key") return roll_back_recovery_key(session, state);
  if (intent.kind == "pin-change" && pin == PinTaken::Next) return {"ok", "the token has the new PIN"};
  if (intent.kind == "pin-change" && pin == PinTaken::GivenNotNext)
    return {"failed", "the token has the PIN from before"};
  // seal.set gets its name after the result alone. What was sealed has entries of its own.
  if (intent.kind == "seal-set") return {"failed", "the set has no list"};
  if (intent.kind == "rotate-key") return {"failed", "the log's key is the one before"};
  return {"unknown", ""};
}

bool is_over(const audit::MekHistory& mek) { return mek.state == "destroyed" || mek.state == "failed"; }

// A token may say that a key is gone, and have it again at the next C_Initialize: SoftHSM does where it could
// not remove the key's file. Such a key is of no use here, but it is there.
void destroy_resurrected_keys(audit::Log& log, pkcs11::Session& session,
                              const std::vector<keys::Mek>& there) {
  if (std::ranges::none_of(log.state().meks, [](const auto& item) { return is_over(item.second); })) return;
  const auto known = log.state().meks;  // as it is before the entries to come
  for (const keys::Mek& mek : there) {
    const auto found = known.find(mek.id);
    if (found == known.end() || !is_over(found->second)) continue;
    const Json what{{"mek", found->second.label}, {"mek_id", to_hex(mek.id)}};
    Json intent = what, result = what;
    intent["found_again"] = true;
    const audit::Txn txn = log.intent("mek-destroy", std::move(intent));
    try {
      session.destroy(mek.object);
      result["encryptions"] = found->second.encryptions;
      result["reconciled"] = "the key was in the token again, and is destroyed again";
      log.result(txn, "ok", std::move(result));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Token) throw;
      log.result(txn, "failed", {{"error", error.what()}});
    }
  }
}

}  // namespace

// One listing of the token for all of it.
void Appliance::reconcile() {
  keys::TokenContents found_there = keys::list_contents(*session_);
  std::vector<keys::Mek>& there = found_there.meks;
  const auto open = log_->state().open;
  for (const auto& [seq, intent] : open) {
    if (!is_settled_by_start(intent)) continue;
    const Reconciliation found = look_up(*session_, there, home_, log_->state(), pin_taken_, intent);
    Json data = Json::object();
    if (!found.what.empty()) data["reconciled"] = found.what;
    if (intent.kind == "pin-change" && found.outcome == "ok") data["token_serial"] = token_.serial;
    if (intent.kind == "mek-destroy" && found.outcome == "ok") {
      // A receipt of this entry says the same as one of an undisturbed run.
      data["mek"] = encoding::text_member(intent.data, "mek");
      data["mek_id"] = encoding::text_member(intent.data, "mek_id");
      if (intent.data.contains(audit::kTransfereeKey))
        data[audit::kTransfereeKey] = encoding::text_member(intent.data, audit::kTransfereeKey);
      data["encryptions"] =
          log_->state().meks.at(from_hex(encoding::text_member(intent.data, "mek_id"))).encryptions;
    }
    log_->result({intent.seq, intent.txn, intent.kind}, found.outcome, std::move(data));
  }
  destroy_resurrected_keys(*log_, *session_, there);
  remove_leftovers(std::move(found_there.leftovers));
  missing_ = missing_keys(there, log_->state());
}

// The embedded token is this appliance's alone: what is half made in it, it made. In another token only what
// has our label is surely ours.
void Appliance::remove_leftovers(std::vector<keys::Leftover> found) {
  for (keys::Leftover& left : found) {
    try {
      if (!left.probe && !site_.embedded)
        leftovers_.push_back(std::move(left));
      else
        session_->destroy(left.object);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Token) throw;
      leftovers_.push_back(std::move(left));
    }
  }
}

}  // namespace qpcseal::site
