// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/log_key.h"

#include "appliance/audit/store.h"
#include "appliance/keys/signing.h"
#include "base/error.h"

namespace qpcseal::site {

namespace {

// Not where the pair is not whole: what a run that was cut short left.
bool signed_checkpoint(pkcs11::Session& session, const std::string& label, const std::string& note) {
  try {
    keys::SigningKey key(session, label);
    const keys::LogSigner signer(key);
    tlog::open_checkpoint(note, {tlog::claimed_origin(note), signer.type(), signer.public_key()});
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

}  // namespace qpcseal::site
