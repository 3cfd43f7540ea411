// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/token_anchor.h"

#include <algorithm>

#include "base/error.h"
#include "pkcs11/probe.h"

namespace qpcseal::keys {

namespace {

constexpr const char* kLabel = "qpcseal-anchor";
constexpr const char* kApplication = "qpcseal";
constexpr std::size_t kRoot = 32;  // bytes; the value is u64be size | root

std::vector<pkcs11::Object> anchors(pkcs11::Session& session) {
  pkcs11::Template wanted;
  wanted.number(CKA_CLASS, CKO_DATA)
      .flag(CKA_TOKEN, true)
      .text(CKA_LABEL, kLabel)
      .text(CKA_APPLICATION, kApplication);
  std::vector<pkcs11::Object> out;
  for (const CK_OBJECT_HANDLE handle : session.find(wanted)) out.push_back({handle, "log anchor"});
  return out;
}

// Nothing for an object that a token left half written.
std::optional<audit::AnchorState> value_of(pkcs11::Session& session, const pkcs11::Object& object) {
  const auto value = session.attribute(object, CKA_VALUE);
  if (!value || value->size() != 8 + kRoot) return std::nullopt;
  ByteReader reader(*value, "log anchor");
  audit::AnchorState state;
  state.size = reader.be(8);
  if (state.size == 0)
    return std::nullopt;  // of can_anchor(), cut short: a log has an entry before it has an anchor
  const ByteView root = reader.take(kRoot);
  reader.expect_end();
  std::copy(root.begin(), root.end(), state.root.begin());
  return state;
}

CK_OBJECT_HANDLE newest_of(pkcs11::Session& session, const std::vector<pkcs11::Object>& objects) {
  CK_OBJECT_HANDLE newest = CK_INVALID_HANDLE;
  std::uint64_t size = 0;
  for (const pkcs11::Object& object : objects) {
    const auto state = value_of(session, object);
    if (!state || state->size < size) continue;
    newest = object.handle;
    size = state->size;
  }
  return newest;
}

pkcs11::Object make(pkcs11::Session& session, bool token, const audit::AnchorState& state) {
  Bytes value;
  append_be(value, state.size, 8);
  append(value, state.root);
  pkcs11::Template data;
  data.number(CKA_CLASS, CKO_DATA)
      .flag(CKA_TOKEN, token)
      .flag(CKA_PRIVATE, true)
      .text(CKA_LABEL, kLabel)
      .text(CKA_APPLICATION, kApplication)
      .bytes(CKA_VALUE, value);
  return session.create(data, "log anchor");
}

}  // namespace

std::optional<audit::AnchorState> TokenAnchor::read() {
  std::optional<audit::AnchorState> best;
  for (const pkcs11::Object& object : anchors(session_)) {
    const auto state = value_of(session_, object);
    if (state && (!best || state->size > best->size)) best = state;
  }
  return best;
}

// The newest of the old ones stays: a token may say that it has stored an object and lose it, and the log
// holds good against an anchor that is one append behind.
void TokenAnchor::write(const audit::AnchorState& state) {
  const auto old = anchors(session_);
  make(session_, true, state);
  if (made_) made_();
  const auto newest = newest_of(session_, old);
  for (const pkcs11::Object& object : old) {
    if (object.handle != newest) session_.destroy(object);
  }
}

void TokenAnchor::remove() {
  for (const pkcs11::Object& object : anchors(session_)) session_.destroy(object);
}

bool can_anchor(pkcs11::Session& session) {
  return pkcs11::probe(session, [&] { session.destroy(make(session, true, {})); });
}

}  // namespace qpcseal::keys
