// SPDX-License-Identifier: Apache-2.0
// The server's side of the calls that use or make keys.
#include <sys/random.h>

#include "tests/support/forward/token.h"

namespace qpcseal::forward {
namespace {

// The new IV where the caller does not have it yet, else an absent blob.
void put_iv(Operation* operation, bool now, Writer& out) {
  Bytes* iv = operation != nullptr ? operation->mechanism->gcm_iv() : nullptr;
  if (iv == nullptr || !now || *iv == operation->told_iv) {
    out.blob(nullptr, 0);
    return;
  }
  operation->told_iv = *iv;
  out.blob(iv->data(), iv->size());
}

void make_own_iv(Operation& operation) {
  Bytes* iv = operation.mechanism->gcm_iv();
  if (iv == nullptr || iv->empty()) return;
  if (::getrandom(iv->data(), iv->size(), 0) != static_cast<ssize_t>(iv->size()))
    throw WireError("no randomness");
}

using Init = CK_RV (*)(CK_SESSION_HANDLE, CK_MECHANISM*, CK_OBJECT_HANDLE);
using Transform = CK_RV (*)(CK_SESSION_HANDLE, CK_BYTE*, CK_ULONG, CK_BYTE*, CK_ULONG*);

template <Init CK_FUNCTION_LIST::* member, bool encrypts>
CK_RV begin(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SESSION_HANDLE session = in.number();
  auto operation = std::make_shared<Operation>();
  operation->mechanism = std::make_unique<Mechanism>(in);
  const CK_OBJECT_HANDLE key = in.number();
  if (const Bytes* iv = operation->mechanism->gcm_iv()) operation->told_iv = *iv;
  if (encrypts && faults.own_iv != OwnIv::No) make_own_iv(*operation);
  const CK_RV result = (token.module().*member)(session, operation->mechanism->get(), key);
  if (result != CKR_OK) return result;
  token.keep(session, operation);
  put_iv(operation.get(), faults.own_iv != OwnIv::Late, out);
  return result;
}

CK_RV finish_transform(Token& token, CK_SESSION_HANDLE session, CK_RV result, Output<CK_BYTE>& output,
                       Writer& out) {
  const CK_RV told = output.finish(result, out);
  put_iv(token.operation_of(session).get(), output.has_buffer() && told == CKR_OK, out);
  return told;
}

template <Transform CK_FUNCTION_LIST::* member>
CK_RV transform(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SESSION_HANDLE session = in.number();
  Blob data = in.blob();
  Output<CK_BYTE> output(in, faults);
  const CK_RV result =
      (token.module().*member)(session, data.pointer(), data.length, output.data(), output.length());
  wipe(data.data);
  return finish_transform(token, session, result, output, out);
}

CK_RV encrypt_final(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SESSION_HANDLE session = in.number();
  Output<CK_BYTE> output(in, faults);
  const CK_RV result = token.module().C_EncryptFinal(session, output.data(), output.length());
  return finish_transform(token, session, result, output, out);
}

CK_RV digest_init(Token& token, const Faults&, Reader& in, Writer&) {
  const CK_SESSION_HANDLE session = in.number();
  Mechanism mechanism(in);
  return token.module().C_DigestInit(session, mechanism.get());
}

CK_RV verify(Token& token, const Faults&, Reader& in, Writer&) {
  const CK_SESSION_HANDLE session = in.number();
  Blob data = in.blob();
  Blob signature = in.blob();
  return token.module().C_Verify(session, data.pointer(), data.length, signature.pointer(), signature.length);
}

CK_RV generate_random(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SESSION_HANDLE session = in.number();
  Output<CK_BYTE> output(in, faults);
  return output.finish(token.module().C_GenerateRandom(session, output.data(), output.capacity()), out);
}

CK_RV generate_key(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SESSION_HANDLE session = in.number();
  Mechanism mechanism(in);
  Template attributes(in);
  CK_OBJECT_HANDLE key = 0;
  const CK_RV result =
      token.module().C_GenerateKey(session, mechanism.get(), attributes.data(), attributes.size(), &key);
  return put_handle(result, key, faults, out);
}

CK_RV generate_key_pair(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SESSION_HANDLE session = in.number();
  Mechanism mechanism(in);
  Template of_public(in);
  Template of_private(in);
  CK_OBJECT_HANDLE public_key = 0;
  CK_OBJECT_HANDLE private_key = 0;
  const CK_RV result =
      token.module().C_GenerateKeyPair(session, mechanism.get(), of_public.data(), of_public.size(),
                                       of_private.data(), of_private.size(), &public_key, &private_key);
  put_handle(result, public_key, faults, out);
  return put_handle(result, private_key, faults, out);
}

CK_RV derive_key(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SESSION_HANDLE session = in.number();
  Mechanism mechanism(in);
  const CK_OBJECT_HANDLE base = in.number();
  Template attributes(in);
  CK_OBJECT_HANDLE key = 0;
  const CK_RV result =
      token.module().C_DeriveKey(session, mechanism.get(), base, attributes.data(), attributes.size(), &key);
  return put_handle(result, key, faults, out);
}

CK_RV wrap_key(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SESSION_HANDLE session = in.number();
  Mechanism mechanism(in);
  const CK_OBJECT_HANDLE wrapping = in.number();
  const CK_OBJECT_HANDLE key = in.number();
  Output<CK_BYTE> output(in, faults);
  return output.finish(
      token.module().C_WrapKey(session, mechanism.get(), wrapping, key, output.data(), output.length()), out);
}

CK_RV unwrap_key(Token& token, const Faults& faults, Reader& in, Writer& out) {
  const CK_SESSION_HANDLE session = in.number();
  Mechanism mechanism(in);
  const CK_OBJECT_HANDLE unwrapping = in.number();
  Blob wrapped = in.blob();
  Template attributes(in);
  CK_OBJECT_HANDLE key = 0;
  const CK_RV result = token.module().C_UnwrapKey(session, mechanism.get(), unwrapping, wrapped.pointer(),
                                                  wrapped.length, attributes.data(), attributes.size(), &key);
  return put_handle(result, key, faults, out);
}

}  // namespace

Handler key_handler(Fn fn) {
  switch (fn) {
    case Fn::GenerateRandom:
      return generate_random;
    case Fn::GenerateKey:
      return generate_key;
    case Fn::GenerateKeyPair:
      return generate_key_pair;
    case Fn::EncryptInit:
      return begin<&CK_FUNCTION_LIST::C_EncryptInit, true>;
    case Fn::DecryptInit:
      return begin<&CK_FUNCTION_LIST::C_DecryptInit, false>;
    case Fn::DigestInit:
      return digest_init;
    case Fn::Digest:
      return transform<&CK_FUNCTION_LIST::C_Digest>;
    case Fn::SignInit:
      return begin<&CK_FUNCTION_LIST::C_SignInit, false>;
    case Fn::VerifyInit:
      return begin<&CK_FUNCTION_LIST::C_VerifyInit, false>;
    case Fn::Encrypt:
      return transform<&CK_FUNCTION_LIST::C_Encrypt>;
    case Fn::EncryptUpdate:
      return transform<&CK_FUNCTION_LIST::C_EncryptUpdate>;
    case Fn::EncryptFinal:
      return encrypt_final;
    case Fn::Decrypt:
      return transform<&CK_FUNCTION_LIST::C_Decrypt>;
    case Fn::Sign:
      return transform<&CK_FUNCTION_LIST::C_Sign>;
    case Fn::Verify:
      return verify;
    case Fn::DeriveKey:
      return derive_key;
    case Fn::WrapKey:
      return wrap_key;
    case Fn::UnwrapKey:
      return unwrap_key;
    default:
      return nullptr;
  }
}

void Token::keep(CK_SESSION_HANDLE session, std::shared_ptr<Operation> operation) {
  const std::lock_guard lock(mutex_);
  operations_[session] = std::move(operation);
}

std::shared_ptr<Operation> Token::operation_of(CK_SESSION_HANDLE session) {
  const std::lock_guard lock(mutex_);
  const auto found = operations_.find(session);
  return found == operations_.end() ? nullptr : found->second;
}

void Token::forget_operations() {
  const std::lock_guard lock(mutex_);
  operations_.clear();
}

CK_RV Token::perform(Fn fn, const Faults& faults, Reader& in, Writer& out) {
  Handler handler = token_handler(fn);
  if (handler == nullptr) handler = key_handler(fn);
  return handler != nullptr ? handler(*this, faults, in, out) : CKR_FUNCTION_NOT_SUPPORTED;
}

}  // namespace qpcseal::forward
