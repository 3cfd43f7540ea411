// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/contents.h"

#include <algorithm>
#include <optional>

#include "appliance/keys/mek_list.h"

namespace qpcseal::keys {

namespace {

bool is_empty(const std::optional<Bytes>& value) { return !value || value->empty(); }

const char* class_name(CK_ULONG type) {
  switch (type) {
    case CKO_DATA:
      return "data object";
    case CKO_SECRET_KEY:
      return "secret key";
    case CKO_PUBLIC_KEY:
      return "public key";
    case CKO_PRIVATE_KEY:
      return "private key";
    default:
      return nullptr;  // certificates, mechanisms, ...: never made here
  }
}

std::optional<Leftover> leftover_from(pkcs11::Session& session, const pkcs11::Object& object, CK_ULONG type) {
  const char* name = class_name(type);
  if (name == nullptr) return std::nullopt;
  const auto label = session.attribute(object, CKA_LABEL);
  if (label && text_view(*label) == kProbeLabel && type != CKO_DATA)
    return Leftover{{object.handle, std::string(name) + " '" + std::string(kProbeLabel) + "'"}, true};
  const CK_ATTRIBUTE_TYPE second = type == CKO_DATA ? CKA_APPLICATION : CKA_ID;
  if (!is_empty(label) || !is_empty(session.attribute(object, second))) return std::nullopt;
  const char* lacking = type == CKO_DATA ? " without label and application" : " without label and id";
  return Leftover{{object.handle, name + std::string(lacking)}, false};
}

// What SoftHSM has of an object whose first write failed: a file without attributes.
std::optional<Leftover> bare(pkcs11::Session& session, const pkcs11::Object& object) {
  for (const CK_ATTRIBUTE_TYPE type : {CKA_LABEL, CKA_ID, CKA_APPLICATION, CKA_VALUE})
    if (!is_empty(session.attribute(object, type))) return std::nullopt;
  return Leftover{{object.handle, "token object without class, label and id"}, false};
}

bool is_aes_in_token(pkcs11::Session& session, const pkcs11::Object& object) {
  return session.number(object, CKA_KEY_TYPE) == CKK_AES && session.flag(object, CKA_TOKEN) == true;
}

}  // namespace

// Without a template: SoftHSM's half-made objects do not say yet that they are in the token.
TokenContents list_contents(pkcs11::Session& session) {
  TokenContents out;
  for (const CK_OBJECT_HANDLE handle : session.find({})) {
    const pkcs11::Object object{handle, "object"};
    const auto type = session.number(object, CKA_CLASS);
    if (!type) {
      if (auto left = bare(session, object)) out.leftovers.push_back(std::move(*left));
      continue;
    }
    if (*type == CKO_SECRET_KEY && is_aes_in_token(session, object))
      if (auto mek = mek_from(session, handle)) {
        out.meks.push_back(std::move(*mek));
        continue;
      }
    if (auto left = leftover_from(session, object, *type)) out.leftovers.push_back(std::move(*left));
  }
  sort_meks(out.meks);
  return out;
}

}  // namespace qpcseal::keys
