#include "appliance/site/log_key.h"

#include "appliance/audit/store.h"
#include "appliance/site/appliance.h"
#include "appliance/site/logged_act.h"
#include "base/error.h"

namespace qpcseal::release {

namespace {

// Not where the pair is not whole: what a run that was cut short left.
bool signed_checkpoint(pkcs11::Session& session, const std::string& label, const std::string& note) {
  try {
    keys::SigningKey key(session, label);
    const keys::LogSigner signer(key);
    audit::open_checkpoint(note, {audit::claimed_origin(note), signer.type(), signer.public_key()});
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::string find_log_key(pkcs11::Session& session, const std::filesystem::path& log) {
  const std::vector<std::string> labels = keys::log_key_labels(session);
  if (labels.size() == 1) return labels.front();
  if (labels.empty()) return keys::kLogKeyLabel;  // SigningKey says that it is not there
  const std::string note = audit::Store::open_to_read(log).read_checkpoint();
  for (const std::string& label : labels)
    if (signed_checkpoint(session, label, note)) return label;
  throw Error(ErrorKind::LogDamaged, "none of the log keys in the token signed the log's checkpoint");
}

void retire_log_keys(pkcs11::Session& session, const std::string& label) {
  for (const std::string& other : keys::log_key_labels(session))
    if (other != label) keys::destroy_signing_key(session, other);
}

std::string Appliance::rotate_log_key() {
  const std::string label = keys::log_key_label(log().state().log_keys.size() + 1);
  const audit::Json approval = approve("log-key-rotate", {{"previous", log().key().text()}});
  const auto make = [&](const audit::Txn&) {
    keys::destroy_signing_key(*session_, label);  // half a pair that a run which was cut short left
    keys::generate_signing_key(*session_, label, log_key_->type());
    next_log_key_.emplace(*session_, label);
    next_signer_.emplace(*next_log_key_);
    return audit::Json();
  };
  logged_act(log(),
             {"rotate-key", with_approval({{"label", label}}, approval), make,
              [&] { keys::destroy_signing_key(*session_, label); },
              [&](const audit::Txn& txn, const audit::Json&) { return log().rotate(txn, *next_signer_); }});
  after_result("the log has its new key", "the next start destroys the old key",
               [&] { retire_log_keys(*session_, label); });
  return log().key().text();
}

}  // namespace qpcseal::release
