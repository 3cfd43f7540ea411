// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/officer_token.h"

#include "base/error.h"

namespace qpcseal::keys {

namespace {

using pkcs11::Session;

std::vector<std::string> labels_of(Session& session, CK_KEY_TYPE type) {
  pkcs11::Template wanted;
  wanted.number(CKA_CLASS, CKO_PRIVATE_KEY).number(CKA_KEY_TYPE, type);
  std::vector<std::string> out;
  for (const CK_OBJECT_HANDLE handle : session.find(wanted))
    out.emplace_back(text_view(session.attribute({handle, "key"}, CKA_LABEL).value_or(Bytes())));
  return out;
}

std::string only_label(Session& session) {
  for (const CK_KEY_TYPE type : {CKK_EC, CKK_EC_EDWARDS}) {
    const std::vector<std::string> labels = labels_of(session, type);
    if (labels.size() > 1)
      throw Error(ErrorKind::Token, "the token holds several keys that could sign", "name one by --key");
    if (!labels.empty()) return labels.front();
  }
  throw Error(ErrorKind::Token, "the token holds no ECDSA and no Ed25519 key", "make one: P-256 or Ed25519");
}

}  // namespace

OfficerToken::OfficerToken(const std::string& module, const pkcs11::TokenChoice& token,
                           const std::string& key, const SecretBuffer& pin, pkcs11::LastTry last_try)
    : module_(module, pkcs11::Module::digest_of(module), ""),
      session_(module_, pkcs11::find_token(module_, token), pkcs11::Access::ReadOnly) {
  session_.login(pin, last_try);
  key_.emplace(session_, key.empty() ? only_label(session_) : key);
}

}  // namespace qpcseal::keys
