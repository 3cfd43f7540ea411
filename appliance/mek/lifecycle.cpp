// SPDX-License-Identifier: Apache-2.0
#include "appliance/mek/lifecycle.h"

#include <algorithm>

#include "appliance/keys/backup_file.h"
#include "appliance/site/logged_act.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::mek {

namespace {

using encoding::Json;

// A key in any state, as long as the log knows it.
keys::Mek known_mek(site::Appliance& appliance, const std::string& reference) {
  if (auto lost = appliance.find_missing(reference)) return std::move(*lost);
  keys::Mek mek = appliance.find_present(reference);
  const auto known = appliance.log().state().meks.find(mek.id);
  if (known == appliance.log().state().meks.end() || known->second.label != mek.label)
    throw Error(ErrorKind::Denied, mek.object.name + " is in the token but not in the log");
  return mek;
}

// A bare name means the newest generation. What cannot be undone wants to be told which one.
void require_label(site::Appliance& appliance, const keys::Mek& mek, const std::string& reference) {
  auto meks = keys::list_meks(appliance.session());
  meks.insert(meks.end(), appliance.missing().begin(), appliance.missing().end());
  const auto same =
      std::ranges::count_if(meks, [&](const keys::Mek& other) { return other.name == mek.name; });
  if (reference == mek.name && same > 1)
    throw Error(ErrorKind::Usage, "'" + reference + "' has several generations",
                "name the one to destroy, such as " + mek.label);
}

keys::Mek change_state(site::Appliance& appliance, const std::string& reference, const std::string& operation,
                       const std::string& from) {
  keys::Mek mek = known_mek(appliance, reference);
  const std::string& state = appliance.log().state().meks.at(mek.id).state;
  if (state != from)
    throw Error(ErrorKind::Denied, mek.object.name + " is '" + state + "', not '" + from + "'");
  const Json approval = appliance.approve(operation, request_parameters(mek));
  appliance.log().event(operation, site::with_approval(request_parameters(mek), approval));
  return mek;
}

// A copy that only wraps has no transferee: its source decides.
Json end_of(const site::Appliance& appliance, const keys::Mek& mek,
            const std::optional<std::filesystem::path>& transferee) {
  Json out = request_parameters(mek);
  if (!transferee) return out;
  appliance.refuse_wrap_only(mek);
  out[audit::kTransfereeKey] = recovery_key_digest(*transferee);
  return out;
}

bool is_there(pkcs11::Session& session, ByteView id) {
  const auto meks = keys::list_meks(session);
  return std::any_of(meks.begin(), meks.end(), [&](const keys::Mek& mek) { return equal(mek.id, id); });
}

// And searches for it in a session of its own: a token may say that it failed and have done it, or the
// reverse.
void destroy_key(site::Appliance& appliance, const keys::Mek& mek) {
  std::string error = "the token still finds it";
  try {
    if (!appliance.is_missing(mek.id)) appliance.session().destroy(mek.object);
  } catch (const Error& thrown) {
    error = thrown.what();
  }
  pkcs11::Session fresh(appliance.module(), appliance.token(), pkcs11::Access::ReadOnly);
  if (is_there(fresh, mek.id)) throw Error(ErrorKind::Token, mek.object.name + " is not destroyed: " + error);
}

}  // namespace

std::string recovery_key_digest(const std::filesystem::path& recovery_key) {
  const Bytes file = read_file(recovery_key, keys::kMaxRecoveryKeyFile);
  static_cast<void>(with_context(recovery_key.string(), [&] { return keys::parse_recovery_key(file); }));
  return sha256_hex(file);
}

Json request_parameters(const keys::Mek& mek) { return {{"mek", mek.label}, {"mek_id", to_hex(mek.id)}}; }

keys::Mek suspend(site::Appliance& appliance, const std::string& reference) {
  const audit::HeldClock held(appliance.log());  // a wrong clock is no reason to let a key be used
  return change_state(appliance, reference, "mek-suspend", "ok");
}

keys::Mek resume(site::Appliance& appliance, const std::string& reference) {
  return change_state(appliance, reference, "mek-resume", "suspended");
}

Destroyed destroy(site::Appliance& appliance, const std::string& reference,
                  const std::optional<std::filesystem::path>& transferee) {
  Destroyed out{known_mek(appliance, reference), 0, 0};
  const keys::Mek& mek = out.mek;
  require_label(appliance, mek, reference);
  const Json wanted = end_of(appliance, mek, transferee);
  const Json approval = appliance.approve("mek-destroy", wanted);
  const auto destroy_and_search = [&](const audit::Txn&) -> Json {
    destroy_key(appliance, mek);
    out.encryptions = appliance.log().state().meks.at(mek.id).encryptions;
    Json data = wanted;
    data["searched"] = "no key with this id in the token";
    data["encryptions"] = out.encryptions;
    data["token_serial"] = appliance.token().serial;
    return data;
  };
  // Nothing brings a key back: "failed" is true only of one that is still there.
  const auto must_be_there = [&] {
    pkcs11::Session fresh(appliance.module(), appliance.token(), pkcs11::Access::ReadOnly);
    if (!is_there(fresh, mek.id)) throw Error(ErrorKind::Token, mek.object.name + " is gone");
  };
  Json intent = site::with_approval(wanted, approval);
  if (appliance.is_missing(mek.id)) intent["lost"] = true;
  out.entry = site::logged_act(appliance.log(),
                               {"mek-destroy", std::move(intent), destroy_and_search, must_be_there});
  return out;
}

}  // namespace qpcseal::mek
