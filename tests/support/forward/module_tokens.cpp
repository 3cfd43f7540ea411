// SPDX-License-Identifier: Apache-2.0
// General, slot, session and object calls.
#include "tests/support/forward/module.h"

namespace qpcseal::forward {
namespace {

template <typename Struct>
auto into(Struct* out) {
  return [out](Reader& reply) { reply.raw(out, sizeof *out); };
}

// "socket=/path" in pReserved, the way NSS takes its configuration.
CK_RV initialize(void* arguments) {
  constexpr std::string_view kPrefix = "socket=";
  const auto* init = static_cast<const CK_C_INITIALIZE_ARGS*>(arguments);
  if (init == nullptr || init->pReserved == nullptr) return CKR_ARGUMENTS_BAD;
  const std::string_view text = static_cast<const char*>(init->pReserved);
  if (!text.starts_with(kPrefix)) return CKR_ARGUMENTS_BAD;
  return open_line(std::string(text.substr(kPrefix.size())));
}

CK_RV finalize(void* reserved) { return reserved != nullptr ? CKR_ARGUMENTS_BAD : close_line(); }

CK_RV get_info(CK_INFO* info) {
  if (info == nullptr) return CKR_ARGUMENTS_BAD;
  return Call(Fn::GetInfo).run(into(info));
}

CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID* slots, CK_ULONG* count) {
  return Call(Fn::GetSlotList).number(present).room(slots, count).run([&](Reader& reply) {
    take_numbers(reply, slots, count);
  });
}

CK_RV get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO* info) {
  if (info == nullptr) return CKR_ARGUMENTS_BAD;
  return Call(Fn::GetSlotInfo).number(slot).run(into(info));
}

CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO* info) {
  if (info == nullptr) return CKR_ARGUMENTS_BAD;
  return Call(Fn::GetTokenInfo).number(slot).run(into(info));
}

CK_RV get_mechanism_list(CK_SLOT_ID slot, CK_MECHANISM_TYPE* list, CK_ULONG* count) {
  return Call(Fn::GetMechanismList).number(slot).room(list, count).run([&](Reader& reply) {
    take_numbers(reply, list, count);
  });
}

CK_RV get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO* info) {
  if (info == nullptr) return CKR_ARGUMENTS_BAD;
  return Call(Fn::GetMechanismInfo).number(slot).number(type).run(into(info));
}

CK_RV init_token(CK_SLOT_ID slot, CK_BYTE* pin, CK_ULONG size, CK_BYTE* label) {
  return Call(Fn::InitToken).number(slot).blob(pin, size).blob(label, 32).run();
}

CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void*, CK_NOTIFY, CK_SESSION_HANDLE* session) {
  if (session == nullptr) return CKR_ARGUMENTS_BAD;
  return Call(Fn::OpenSession).number(slot).number(flags).run(into_number(session));
}

CK_RV close_session(CK_SESSION_HANDLE session) { return Call(Fn::CloseSession).number(session).run(); }

CK_RV close_all_sessions(CK_SLOT_ID slot) { return Call(Fn::CloseAllSessions).number(slot).run(); }

CK_RV get_session_info(CK_SESSION_HANDLE session, CK_SESSION_INFO* info) {
  if (info == nullptr) return CKR_ARGUMENTS_BAD;
  return Call(Fn::GetSessionInfo).number(session).run(into(info));
}

CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_BYTE* pin, CK_ULONG size) {
  return Call(Fn::Login).number(session).number(user).blob(pin, size).run();
}

CK_RV create_object(CK_SESSION_HANDLE session, CK_ATTRIBUTE* attributes, CK_ULONG count,
                    CK_OBJECT_HANDLE* object) {
  if (object == nullptr) return CKR_ARGUMENTS_BAD;
  return Call(Fn::CreateObject).number(session).attributes(attributes, count).run(into_number(object));
}

CK_RV copy_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE* attributes,
                  CK_ULONG count, CK_OBJECT_HANDLE* copy) {
  if (copy == nullptr) return CKR_ARGUMENTS_BAD;
  return Call(Fn::CopyObject)
      .number(session)
      .number(object)
      .attributes(attributes, count)
      .run(into_number(copy));
}

CK_RV destroy_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
  return Call(Fn::DestroyObject).number(session).number(object).run();
}

CK_RV get_attribute_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE* attributes,
                          CK_ULONG count) {
  if (attributes == nullptr) return CKR_ARGUMENTS_BAD;
  Call call(Fn::GetAttributeValue);
  call.number(session).number(object).number(count);
  for (CK_ULONG i = 0; i < count; ++i) {
    if (holds_template(attributes[i].type)) return CKR_FUNCTION_NOT_SUPPORTED;
    call.number(attributes[i].type).room(attributes[i].pValue, &attributes[i].ulValueLen);
  }
  return call.run([&](Reader& reply) {
    for (CK_ULONG i = 0; i < count; ++i)
      take_bytes(reply, static_cast<CK_BYTE*>(attributes[i].pValue), &attributes[i].ulValueLen);
  });
}

CK_RV set_attribute_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE* attributes,
                          CK_ULONG count) {
  return Call(Fn::SetAttributeValue).number(session).number(object).attributes(attributes, count).run();
}

CK_RV find_objects_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE* attributes, CK_ULONG count) {
  return Call(Fn::FindObjectsInit).number(session).attributes(attributes, count).run();
}

CK_RV find_objects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE* objects, CK_ULONG most, CK_ULONG* count) {
  if (objects == nullptr || count == nullptr) return CKR_ARGUMENTS_BAD;
  CK_ULONG found = most;
  const CK_RV result = Call(Fn::FindObjects).number(session).room(objects, &most).run([&](Reader& reply) {
    take_numbers(reply, objects, &found);
  });
  if (result == CKR_OK) *count = found;
  return result;
}

template <Fn fn>
CK_RV on_session(CK_SESSION_HANDLE session) {
  return Call(fn).number(session).run();
}

// C_SeedRandom and C_InitPIN: bytes in, nothing out.
template <Fn fn>
CK_RV on_bytes(CK_SESSION_HANDLE session, CK_BYTE* data, CK_ULONG size) {
  return Call(fn).number(session).blob(data, size).run();
}

}  // namespace

void fill_tokens(CK_FUNCTION_LIST& list) {
  list.C_Initialize = initialize;
  list.C_Finalize = finalize;
  list.C_GetInfo = get_info;
  list.C_GetSlotList = get_slot_list;
  list.C_GetSlotInfo = get_slot_info;
  list.C_GetTokenInfo = get_token_info;
  list.C_GetMechanismList = get_mechanism_list;
  list.C_GetMechanismInfo = get_mechanism_info;
  list.C_InitToken = init_token;
  list.C_InitPIN = on_bytes<Fn::InitPIN>;
  list.C_OpenSession = open_session;
  list.C_CloseSession = close_session;
  list.C_CloseAllSessions = close_all_sessions;
  list.C_GetSessionInfo = get_session_info;
  list.C_Login = login;
  list.C_Logout = on_session<Fn::Logout>;
  list.C_CreateObject = create_object;
  list.C_CopyObject = copy_object;
  list.C_DestroyObject = destroy_object;
  list.C_GetAttributeValue = get_attribute_value;
  list.C_SetAttributeValue = set_attribute_value;
  list.C_FindObjectsInit = find_objects_init;
  list.C_FindObjects = find_objects;
  list.C_FindObjectsFinal = on_session<Fn::FindObjectsFinal>;
  list.C_SeedRandom = on_bytes<Fn::SeedRandom>;
}

}  // namespace qpcseal::forward
