// SPDX-License-Identifier: Apache-2.0
// The server's side of the general, slot, session and object calls.

#include "tests/support/forward/token.h"

namespace qpcseal::forward {
namespace {

template <typename Struct>
CK_RV put_struct(CK_RV result, const Struct& value, Writer& out) {
  if (result == CKR_OK) out.raw(&value, sizeof value);
  return result;
}

CK_RV get_info(Token& token, const Faults&, Reader&, Writer& out) {
  CK_INFO info{};
  return put_struct(token.module().C_GetInfo(&info), info, out);
}

CK_RV get_slot_list(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const auto present = static_cast<CK_BBOOL>(in.number());
  Output<CK_SLOT_ID> slots(in, faults);
  return slots.finish(token.module().C_GetSlotList(present, slots.data(), slots.length()), out);
}

CK_RV get_slot_info(Token& token, const Faults&, Reader& in, Writer& out) {
  CK_SLOT_INFO info{};
  return put_struct(token.module().C_GetSlotInfo(in.number(), &info), info, out);
}

CK_RV get_token_info(Token& token, const Faults&, Reader& in, Writer& out) {
  CK_TOKEN_INFO info{};
  return put_struct(token.module().C_GetTokenInfo(in.number(), &info), info, out);
}

CK_RV get_mechanism_list(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SLOT_ID slot = in.number();
  Output<CK_MECHANISM_TYPE> list(in, faults);
  return list.finish(token.module().C_GetMechanismList(slot, list.data(), list.length()), out);
}

CK_RV get_mechanism_info(Token& token, const Faults&, Reader& in, Writer& out) {
  const CK_SLOT_ID slot = in.number();
  CK_MECHANISM_INFO info{};
  return put_struct(token.module().C_GetMechanismInfo(slot, in.number(), &info), info, out);
}

CK_RV init_token(Token& token, const Faults&, Reader& in, Writer&) {
  const CK_SLOT_ID slot = in.number();
  Blob pin = in.blob();
  Blob label = in.blob();
  if (!label.present || label.length != 32) return CKR_ARGUMENTS_BAD;
  return token.module().C_InitToken(slot, pin.pointer(), pin.length, label.pointer());
}

CK_RV init_pin(Token& token, const Faults&, Reader& in, Writer&) {
  const CK_SESSION_HANDLE session = in.number();
  Blob pin = in.blob();
  return token.module().C_InitPIN(session, pin.pointer(), pin.length);
}

CK_RV open_session(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SLOT_ID slot = in.number();
  const CK_FLAGS flags = in.number();
  CK_SESSION_HANDLE session = 0;
  const CK_RV result = token.module().C_OpenSession(slot, flags, nullptr, nullptr, &session);
  return put_handle(result, session, faults, out);
}

CK_RV close_session(Token& token, const Faults&, Reader& in, Writer&) {
  const CK_SESSION_HANDLE session = in.number();
  token.keep(session, nullptr);
  return token.module().C_CloseSession(session);
}

CK_RV close_all_sessions(Token& token, const Faults&, Reader& in, Writer&) {
  token.forget_operations();
  return token.module().C_CloseAllSessions(in.number());
}

CK_RV get_session_info(Token& token, const Faults&, Reader& in, Writer& out) {
  CK_SESSION_INFO info{};
  return put_struct(token.module().C_GetSessionInfo(in.number(), &info), info, out);
}

CK_RV login(Token& token, const Faults&, Reader& in, Writer&) {
  const CK_SESSION_HANDLE session = in.number();
  const CK_USER_TYPE user = in.number();
  Blob pin = in.blob();
  return token.module().C_Login(session, user, pin.pointer(), pin.length);
}

CK_RV logout(Token& token, const Faults&, Reader& in, Writer&) {
  return token.module().C_Logout(in.number());
}

CK_RV create_object(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SESSION_HANDLE session = in.number();
  Template attributes(in);
  CK_OBJECT_HANDLE object = 0;
  const CK_RV result = token.module().C_CreateObject(session, attributes.data(), attributes.size(), &object);
  return put_handle(result, object, faults, out);
}

CK_RV copy_object(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SESSION_HANDLE session = in.number();
  const CK_OBJECT_HANDLE object = in.number();
  Template attributes(in);
  CK_OBJECT_HANDLE copy = 0;
  const CK_RV result =
      token.module().C_CopyObject(session, object, attributes.data(), attributes.size(), &copy);
  return put_handle(result, copy, faults, out);
}

CK_RV destroy_object(Token& token, const Faults&, Reader& in, Writer&) {
  const CK_SESSION_HANDLE session = in.number();
  return token.module().C_DestroyObject(session, in.number());
}

bool has_values(CK_RV result) {
  return result == CKR_OK || result == CKR_ATTRIBUTE_SENSITIVE || result == CKR_ATTRIBUTE_TYPE_INVALID ||
         result == CKR_BUFFER_TOO_SMALL;
}

CK_RV get_attribute_value(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SESSION_HANDLE session = in.number();
  const CK_OBJECT_HANDLE object = in.number();
  const CK_ULONG count = in.number();
  if (count > 1024) throw WireError("the template is too large");
  std::deque<Output<CK_BYTE>> values;
  std::vector<CK_ATTRIBUTE> attributes;
  for (CK_ULONG i = 0; i < count; ++i) {
    const CK_ATTRIBUTE_TYPE type = in.number();
    auto& value = values.emplace_back(in, faults);
    attributes.push_back({type, value.data(), *value.length()});
  }
  CK_RV result = token.module().C_GetAttributeValue(session, object, attributes.data(), count);
  if (!has_values(result)) return result;
  if (result == CKR_OK && faults.has(FaultKind::Short)) result = CKR_BUFFER_TOO_SMALL;
  for (CK_ULONG i = 0; i < count; ++i) {
    const CK_ULONG length = attributes[i].ulValueLen;
    *values[i].length() = length;
    const bool filled = values[i].has_buffer() && length <= values[i].capacity();
    values[i].put(filled, result == CKR_OK && faults.has(FaultKind::Lie), out);
  }
  return result;
}

CK_RV set_attribute_value(Token& token, const Faults&, Reader& in, Writer&) {
  const CK_SESSION_HANDLE session = in.number();
  const CK_OBJECT_HANDLE object = in.number();
  Template attributes(in);
  return token.module().C_SetAttributeValue(session, object, attributes.data(), attributes.size());
}

CK_RV find_objects_init(Token& token, const Faults&, Reader& in, Writer&) {
  const CK_SESSION_HANDLE session = in.number();
  Template attributes(in);
  return token.module().C_FindObjectsInit(session, attributes.data(), attributes.size());
}

CK_RV find_objects(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SESSION_HANDLE session = in.number();
  Output<CK_OBJECT_HANDLE> objects(in, faults);
  return objects.finish(
      token.module().C_FindObjects(session, objects.data(), objects.capacity(), objects.length()), out);
}

CK_RV find_objects_final(Token& token, const Faults&, Reader& in, Writer&) {
  return token.module().C_FindObjectsFinal(in.number());
}

CK_RV seed_random(Token& token, const Faults&, Reader& in, Writer&) {
  const CK_SESSION_HANDLE session = in.number();
  Blob seed = in.blob();
  return token.module().C_SeedRandom(session, seed.pointer(), seed.length);
}

}  // namespace

Handler token_handler(Fn fn) {
  switch (fn) {
    case Fn::GetInfo:
      return get_info;
    case Fn::GetSlotList:
      return get_slot_list;
    case Fn::GetSlotInfo:
      return get_slot_info;
    case Fn::GetTokenInfo:
      return get_token_info;
    case Fn::GetMechanismList:
      return get_mechanism_list;
    case Fn::GetMechanismInfo:
      return get_mechanism_info;
    case Fn::InitToken:
      return init_token;
    case Fn::InitPIN:
      return init_pin;
    case Fn::OpenSession:
      return open_session;
    case Fn::CloseSession:
      return close_session;
    case Fn::CloseAllSessions:
      return close_all_sessions;
    case Fn::GetSessionInfo:
      return get_session_info;
    case Fn::Login:
      return login;
    case Fn::Logout:
      return logout;
    case Fn::CreateObject:
      return create_object;
    case Fn::CopyObject:
      return copy_object;
    case Fn::DestroyObject:
      return destroy_object;
    case Fn::GetAttributeValue:
      return get_attribute_value;
    case Fn::SetAttributeValue:
      return set_attribute_value;
    case Fn::FindObjectsInit:
      return find_objects_init;
    case Fn::FindObjects:
      return find_objects;
    case Fn::FindObjectsFinal:
      return find_objects_final;
    case Fn::SeedRandom:
      return seed_random;
    default:
      return nullptr;
  }
}

}  // namespace qpcseal::forward
