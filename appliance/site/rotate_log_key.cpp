// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/appliance.h"
#include "appliance/site/log_key.h"
#include "appliance/site/logged_act.h"

namespace qpcseal::site {

std::string Appliance::rotate_log_key() {
  const std::string label = keys::log_key_label(log().state().log_keys.size() + 1);
  const encoding::Json approval = approve("log-key-rotate", {{"previous", log().key().text()}});
  const auto make = [&](const audit::Txn&) {
    keys::destroy_signing_key(*session_, label);  // half a pair that a run which was cut short left
    keys::generate_signing_key(*session_, label, log_key_->type());
    next_log_key_.emplace(*session_, label);
    next_signer_.emplace(*next_log_key_);
    return encoding::Json();
  };
  logged_act(log(), {"rotate-key", with_approval({{"label", label}}, approval), make,
                     [&] { keys::destroy_signing_key(*session_, label); },
                     [&](const audit::Txn& txn, const encoding::Json&) {
                       return log().rotate(txn, *next_signer_);
                     }});
  after_result("the log has its new key", "the next start destroys the old key",
               [&] { retire_log_keys(*session_, label); });
  return log().key().text();
}

}  // namespace qpcseal::site
