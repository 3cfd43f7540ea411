#include "appliance/release/anchor.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal::release {

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

audit::AnchorState value_of(pkcs11::Session& session, const pkcs11::Object& object) {
  const auto value = session.attribute(object, CKA_VALUE);
  if (!value) throw Error(ErrorKind::Token, "the log anchor in the token has no value");
  ByteReader reader(*value, "log anchor");
  audit::AnchorState state;
  state.size = reader.be(8);
  const ByteView root = reader.take(kRoot);
  reader.expect_end();
  std::copy(root.begin(), root.end(), state.root.begin());
  return state;
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
    const audit::AnchorState state = value_of(session_, object);
    if (!best || state.size > best->size) best = state;
  }
  return best;
}

void TokenAnchor::write(const audit::AnchorState& state) {
  const auto old = anchors(session_);
  make(session_, true, state);
  for (const pkcs11::Object& object : old) session_.destroy(object);
}

bool can_anchor(pkcs11::Session& session) {
  try {
    session.destroy(make(session, true, {}));
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace qpcseal::release
