// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/recovery_key.h"

#include <algorithm>

#include "appliance/keys/spki.h"
#include "base/error.h"

namespace qpcseal::keys {

namespace {

using pkcs11::Object;
using pkcs11::ScopedObject;
using pkcs11::Session;
using pkcs11::Template;

constexpr std::string_view kCheckText = "qpcseal/check/1";
constexpr std::size_t kBlobHead = 4 + 1 + 1 + kMekIdSize;  // "QMEK" | 1 | suite | MEK id

struct Rule {
  CK_ATTRIBUTE_TYPE type;
  const char* name;
  bool value;
};
constexpr Rule kRules[] = {
    {CKA_TOKEN, "CKA_TOKEN", true},         {CKA_PRIVATE, "CKA_PRIVATE", true},
    {CKA_SENSITIVE, "CKA_SENSITIVE", true}, {CKA_EXTRACTABLE, "CKA_EXTRACTABLE", false},
    {CKA_DERIVE, "CKA_DERIVE", true},       {CKA_SIGN, "CKA_SIGN", false}};

std::vector<Object> recovery_objects(Session& session, CK_OBJECT_CLASS type) {
  Template wanted;
  wanted.number(CKA_CLASS, type).flag(CKA_TOKEN, true).text(CKA_LABEL, kRecoveryKeyLabel);
  std::vector<Object> out;
  for (const CK_OBJECT_HANDLE handle : session.find(wanted))
    out.push_back({handle, std::string("key '") + kRecoveryKeyLabel + "'"});
  return out;
}

std::string complaint(Session& session, const Object& key) {
  for (const Rule& rule : kRules)
    if (session.flag(key, rule.type) != rule.value)
      return std::string(rule.name) + " is not " + (rule.value ? "true" : "false");
  return {};
}

Bytes aad_of(ByteView mek_id) {
  Bytes out = copy(view(kCheckText));
  out.push_back(0);
  append(out, mek_id);
  return out;
}

// The check value's GCM, under the IV given.
Bytes encrypt_check(Session& session, const Object& key, ByteView mek_id, ByteView iv) {
  Bytes nonce = copy(iv), aad = aad_of(mek_id);
  CK_GCM_PARAMS params{};
  params.pIv = nonce.data();
  params.ulIvLen = nonce.size();
  params.ulIvBits = nonce.size() * 8;
  params.pAAD = aad.data();
  params.ulAADLen = aad.size();
  params.ulTagBits = pkcs11::kGcmTag * 8;
  Bytes out(kCheckText.size() + pkcs11::kGcmTag);
  session.encrypt({CKM_AES_GCM, &params, sizeof(params)}, key, view(kCheckText), out);
  return out;
}

bool opens(Session& session, const Mek& mek, Suite suite) {
  try {
    const EcPair pair = make_ec_pair(session, PeerType::P256, std::nullopt);
    const ScopedObject private_key(session, pair.private_key), public_key(session, pair.public_key);
    const Peer peer = recovery_peer(pair.point, Bytes(32, 0));
    const WrappedMek wrapped = wrap_mek(session, mek, suite, peer, Bytes(32, 0));
    const ScopedObject back(session, unwrap_mek(session, {pair.private_key, pair.point}, wrapped, peer,
                                                mek.id, checking_template(), "probe key"));
    return true;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Token || error.kind() == ErrorKind::Denied) return false;
    throw;
  }
}

}  // namespace

RecoveryKey make_recovery_key(Session& session, Session& fresh) {
  if (has_recovery_key(session)) throw Error(ErrorKind::Token, "the token holds a recovery key already");
  const EcPair made = make_ec_pair(session, PeerType::P256, kRecoveryKeyLabel);
  const auto found = find_recovery_key(fresh);
  const std::string wrong = found ? complaint(fresh, found->private_key) : "it is not there";
  if (wrong.empty() && found->point == made.point) return *found;
  session.destroy(made.private_key);
  session.destroy(made.public_key);
  throw Error(ErrorKind::Token, "the recovery key was not made as asked and is destroyed again: " + wrong);
}

std::optional<RecoveryKey> find_recovery_key(Session& session) {
  const auto privates = recovery_objects(session, CKO_PRIVATE_KEY);
  const auto publics = recovery_objects(session, CKO_PUBLIC_KEY);
  if (privates.empty() && publics.empty()) return std::nullopt;
  if (privates.size() != 1 || publics.size() != 1)
    throw Error(ErrorKind::Token,
                "the token holds more or less than one pair '" + std::string(kRecoveryKeyLabel) + "'");
  const auto raw = session.attribute(publics.front(), CKA_EC_POINT);
  if (!raw) throw Error(ErrorKind::Token, "the recovery key has no CKA_EC_POINT");
  Bytes point = unwrap_ec_point(*raw, point_size(PeerType::P256));
  if (!on_curve(point)) throw Error(ErrorKind::Token, "the recovery key's point is not on its curve");
  return RecoveryKey{privates.front(), std::move(point)};
}

bool has_recovery_key(Session& session) {
  return !recovery_objects(session, CKO_PRIVATE_KEY).empty() ||
         !recovery_objects(session, CKO_PUBLIC_KEY).empty();
}

void destroy_recovery_key(Session& session) {
  for (const CK_OBJECT_CLASS type : {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY})
    for (const Object& object : recovery_objects(session, type)) session.destroy(object);
}

std::vector<Suite> probe_opening(Session& session) {
  Mek mek;
  mek.id = Bytes(kMekIdSize, 0);
  Template attributes = checking_template(true);
  attributes.number(CKA_VALUE_LEN, 16);
  const ScopedObject key(session, session.generate({CKM_AES_KEY_GEN, nullptr, 0}, attributes, "probe key"));
  mek.object = key.get();
  std::vector<Suite> out;
  for (const Suite suite : {Suite::EcdhX963, Suite::EcdhEcbKdf})
    if (opens(session, mek, suite)) out.push_back(suite);
  return out;
}

Peer recovery_peer(ByteView point, ByteView header) {
  return {PeerType::P256, copy(point), copy(header), kBackupDomain};
}

Object unwrap_mek(Session& session, const RecoveryKey& key, const WrappedMek& wrapped, const Peer& peer,
                  ByteView mek_id, Template attributes, const std::string& name) {
  Bytes head = copy(view("QMEK"));
  head.push_back(1);
  head.push_back(static_cast<std::uint8_t>(wrapped.suite));
  append(head, mek_id);
  const ByteView blob = wrapped.encrypt;
  if (blob.size() != kBlobHead + kWrappedSize || !equal(blob.first(kBlobHead), head) ||
      !serves(wrapped.suite, PeerType::P256) || !on_curve(wrapped.pub) ||
      wrapped.pub.size() != point_size(PeerType::P256))
    throw Error(ErrorKind::Malformed, "not a MEK wrapped to a recovery key");
  const Bytes context = wrap_context(wrapped.suite, mek_id, wrapped.nonce, wrapped.pub, peer);
  const ScopedObject kek =
      derive_kek(session, wrapped.suite, key.private_key, wrapped.pub, context, CKA_UNWRAP);
  try {
    return session.unwrap({CKM_AES_KEY_WRAP, nullptr, 0}, kek.get(), blob.subspan(kBlobHead),
                          std::move(attributes), name);
  } catch (const Error& error) {
    // RFC 3394 checks integrity; tokens have no common code for it.
    throw Error(
        ErrorKind::Denied, std::string("the wrapped key does not open: ") + error.what(),
        "it was made for another recovery key, or changed on the way, or this token refuses such keys");
  }
}

Template checking_template(bool extractable) {
  Template out;
  out.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, CKK_AES)
      .flag(CKA_TOKEN, false)
      .flag(CKA_EXTRACTABLE, extractable);
  for (const CK_ATTRIBUTE_TYPE flag : {CKA_PRIVATE, CKA_SENSITIVE, CKA_ENCRYPT}) out.flag(flag, true);
  for (const CK_ATTRIBUTE_TYPE flag : {CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE, CKA_SIGN, CKA_VERIFY})
    out.flag(flag, false);
  return out;
}

Bytes make_check_value(Session& session, const Object& key, ByteView mek_id, Random& random) {
  if (pkcs11::probe_gcm(session).iv != pkcs11::IvRule::Caller)
    throw Error(ErrorKind::Token, "this token makes GCM's IV itself: it can make no check value");
  Bytes out = random.bytes(pkcs11::kGcmIv);
  append(out, encrypt_check(session, key, mek_id, Bytes(out)));
  return out;
}

bool check_value_holds(Session& session, const Object& key, ByteView mek_id, ByteView check_value) {
  if (check_value.size() != kCheckValueSize) return false;
  const Bytes again = encrypt_check(session, key, mek_id, check_value.first(pkcs11::kGcmIv));
  return equal(again, check_value.subspan(pkcs11::kGcmIv));
}

}  // namespace qpcseal::keys
