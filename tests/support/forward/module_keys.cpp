// SPDX-License-Identifier: Apache-2.0
// The calls that use or make keys.
#include <cstring>
#include <map>
#include <mutex>

#include "tests/support/forward/module.h"

namespace qpcseal::forward {
namespace {

// Where a caller's GCM IV lies, by session: a token that makes its own IV may write it as late as C_Encrypt.
class IvBuffers {
 public:
  void note(CK_SESSION_HANDLE session, const CK_MECHANISM* mechanism) {
    const std::lock_guard lock(mutex_);
    buffers_.erase(session);
    if (mechanism == nullptr || mechanism->mechanism != CKM_AES_GCM || mechanism->pParameter == nullptr ||
        mechanism->ulParameterLen != sizeof(CK_GCM_PARAMS))
      return;
    const auto* gcm = static_cast<const CK_GCM_PARAMS*>(mechanism->pParameter);
    buffers_[session] = {gcm->pIv, gcm->ulIvLen};
  }
  // A blob of the reply: the new IV, or absent where it did not change.
  void take(CK_SESSION_HANDLE session, Reader& reply) {
    const Blob iv = reply.blob();
    const std::lock_guard lock(mutex_);
    const auto found = buffers_.find(session);
    if (!iv.present || found == buffers_.end() || found->second.data == nullptr) return;
    if (iv.data.size() == found->second.size) std::memcpy(found->second.data, iv.data.data(), iv.data.size());
  }

 private:
  struct Buffer {
    CK_BYTE* data;
    CK_ULONG size;
  };
  std::mutex mutex_;
  std::map<CK_SESSION_HANDLE, Buffer> buffers_;
};

IvBuffers& iv_buffers() {
  static IvBuffers instance;
  return instance;
}

CK_RV generate_random(CK_SESSION_HANDLE session, CK_BYTE* out, CK_ULONG size) {
  CK_ULONG length = size;
  return Call(Fn::GenerateRandom).number(session).room(out, &length).run([&](Reader& reply) {
    take_bytes(reply, out, &length);
  });
}

CK_RV generate_key(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_ATTRIBUTE* attributes,
                   CK_ULONG count, CK_OBJECT_HANDLE* key) {
  if (key == nullptr) return CKR_ARGUMENTS_BAD;
  return Call(Fn::GenerateKey)
      .number(session)
      .mechanism(mechanism)
      .attributes(attributes, count)
      .run(into_number(key));
}

CK_RV generate_key_pair(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_ATTRIBUTE* of_public,
                        CK_ULONG public_count, CK_ATTRIBUTE* of_private, CK_ULONG private_count,
                        CK_OBJECT_HANDLE* public_key, CK_OBJECT_HANDLE* private_key) {
  if (public_key == nullptr || private_key == nullptr) return CKR_ARGUMENTS_BAD;
  return Call(Fn::GenerateKeyPair)
      .number(session)
      .mechanism(mechanism)
      .attributes(of_public, public_count)
      .attributes(of_private, private_count)
      .run([&](Reader& reply) {
        *public_key = reply.number();
        *private_key = reply.number();
      });
}

template <Fn fn>
CK_RV begin(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key) {
  iv_buffers().note(session, fn == Fn::EncryptInit ? mechanism : nullptr);
  return Call(fn).number(session).mechanism(mechanism).number(key).run(
      [&](Reader& reply) { iv_buffers().take(session, reply); });
}

CK_RV digest_init(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism) {
  return Call(Fn::DigestInit).number(session).mechanism(mechanism).run();
}

template <Fn fn>
CK_RV transform(CK_SESSION_HANDLE session, CK_BYTE* in, CK_ULONG in_size, CK_BYTE* out, CK_ULONG* out_size) {
  return Call(fn).number(session).blob(in, in_size).room(out, out_size).run([&](Reader& reply) {
    take_bytes(reply, out, out_size);
    iv_buffers().take(session, reply);
  });
}

CK_RV encrypt_final(CK_SESSION_HANDLE session, CK_BYTE* out, CK_ULONG* out_size) {
  return Call(Fn::EncryptFinal).number(session).room(out, out_size).run([&](Reader& reply) {
    take_bytes(reply, out, out_size);
    iv_buffers().take(session, reply);
  });
}

CK_RV verify(CK_SESSION_HANDLE session, CK_BYTE* data, CK_ULONG size, CK_BYTE* signature,
             CK_ULONG signature_size) {
  return Call(Fn::Verify).number(session).blob(data, size).blob(signature, signature_size).run();
}

CK_RV derive_key(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE base,
                 CK_ATTRIBUTE* attributes, CK_ULONG count, CK_OBJECT_HANDLE* key) {
  if (key == nullptr) return CKR_ARGUMENTS_BAD;
  return Call(Fn::DeriveKey)
      .number(session)
      .mechanism(mechanism)
      .number(base)
      .attributes(attributes, count)
      .run(into_number(key));
}

CK_RV wrap_key(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE wrapping,
               CK_OBJECT_HANDLE key, CK_BYTE* out, CK_ULONG* out_size) {
  return Call(Fn::WrapKey)
      .number(session)
      .mechanism(mechanism)
      .number(wrapping)
      .number(key)
      .room(out, out_size)
      .run([&](Reader& reply) { take_bytes(reply, out, out_size); });
}

CK_RV unwrap_key(CK_SESSION_HANDLE session, CK_MECHANISM* mechanism, CK_OBJECT_HANDLE unwrapping,
                 CK_BYTE* wrapped, CK_ULONG wrapped_size, CK_ATTRIBUTE* attributes, CK_ULONG count,
                 CK_OBJECT_HANDLE* key) {
  if (key == nullptr) return CKR_ARGUMENTS_BAD;
  return Call(Fn::UnwrapKey)
      .number(session)
      .mechanism(mechanism)
      .number(unwrapping)
      .blob(wrapped, wrapped_size)
      .attributes(attributes, count)
      .run(into_number(key));
}

}  // namespace

void fill_keys(CK_FUNCTION_LIST& list) {
  list.C_GenerateRandom = generate_random;
  list.C_GenerateKey = generate_key;
  list.C_GenerateKeyPair = generate_key_pair;
  list.C_EncryptInit = begin<Fn::EncryptInit>;
  list.C_Encrypt = transform<Fn::Encrypt>;
  list.C_EncryptUpdate = transform<Fn::EncryptUpdate>;
  list.C_EncryptFinal = encrypt_final;
  list.C_DecryptInit = begin<Fn::DecryptInit>;
  list.C_Decrypt = transform<Fn::Decrypt>;
  list.C_DigestInit = digest_init;
  list.C_Digest = transform<Fn::Digest>;
  list.C_SignInit = begin<Fn::SignInit>;
  list.C_Sign = transform<Fn::Sign>;
  list.C_VerifyInit = begin<Fn::VerifyInit>;
  list.C_Verify = verify;
  list.C_DeriveKey = derive_key;
  list.C_WrapKey = wrap_key;
  list.C_UnwrapKey = unwrap_key;
}

}  // namespace qpcseal::forward
