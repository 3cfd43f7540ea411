// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/token_health.h"

#include <functional>
#include <utility>

#include "appliance/audit/log.h"
#include "appliance/keys/signing.h"
#include "appliance/keys/token_anchor.h"
#include "appliance/site/in_force.h"
#include "appliance/site/log_key.h"
#include "base/current_error.h"

namespace qpcseal::site {

namespace {

constexpr const char* kOtherToken =
    "the token was initialized anew, or is another one: put the right one in, or restore the home and its "
    "token";

HealthCheck looked(const std::string& id, const std::function<std::string()>& look) {
  try {
    return {id, Health::Fine, look(), "", {}};
  } catch (...) {
    const Error error = current_error();
    return {id, Health::Fault, error.what(), error.hint().empty() ? kOtherToken : error.hint(), error.kind()};
  }
}

std::string look_at_log_key(pkcs11::Session& session, const Home& home, const audit::LogCursor& at) {
  keys::SigningKey key(session, find_log_key(session, home.log()));
  const keys::LogSigner signer(key);
  if (at.key.type() != signer.type() || at.key.key() != signer.public_key())
    throw Error(ErrorKind::LogDamaged,
                "the audit log was signed with another key than the one in this token");
  return "is in the token";
}

// As Log::open() does it: from the anchor on, the log is replayed.
std::string look_at_anchor(pkcs11::Session& session, const Home& home, audit::LogCursor at) {
  keys::TokenAnchor stored(session);
  const std::optional<audit::AnchorState> anchor = stored.read();
  if (!anchor && !at.state.site.anchor) return "none: the token keeps no data objects";
  if (anchor && at.in_snapshot > anchor->size) at = audit::find_position(home.log(), anchor->size);
  const std::string why = audit::old_anchor(at, anchor);
  if (!why.empty())
    throw Error(ErrorKind::LogDamaged, why + " (anchor " + to_string(anchor) + ")",
                "the token may have been put back to an older state; officers may accept the log as it is: "
                "'qpcseal audit anchor-accept'");
  return "fits the log";
}

}  // namespace

std::vector<HealthCheck> look_at_token(pkcs11::Session& session, const Home& home) {
  std::optional<audit::LogCursor> at;
  std::vector<HealthCheck> out;
  const HealthCheck log = looked("log", [&] {
    at = audit::find_position(home.log());
    return std::string();
  });
  if (!at) return {log};
  out.push_back(looked("log key", [&] { return look_at_log_key(session, home, *at); }));
  out.push_back(looked("seal key", [&] {
    expect_same("the seal key", to_base64(keys::SigningKey(session, keys::kSealKeyLabel).spki()),
                encoding::text_member(at->state.genesis, "seal_key"));
    return std::string("is in the token");
  }));
  out.push_back(looked("log anchor", [&] { return look_at_anchor(session, home, std::move(*at)); }));
  return out;
}

}  // namespace qpcseal::site
