// SPDX-License-Identifier: Apache-2.0
// A session with a token and the objects seen through it. Not for several threads at once: one session a
// thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "pkcs11/module.h"
#include "pkcs11/template.h"

namespace qpcseal::pkcs11 {

// A handle, and how messages name it: "key 'resnet50#1'".
struct Object {
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  std::string name;
};

enum class Access { ReadOnly, ReadWrite };

class Session {
 public:
  Session(const Module& module, const TokenInfo& token, Access access);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // As the token's user, for all sessions of the process. One try; a wrong PIN is never tried again. An empty
  // PIN: the token asks on its own pad (CKF_PROTECTED_AUTHENTICATION_PATH). Error{Token}, also by
  // check_login().
  void login(const SecretBuffer& pin, LastTry last_try = LastTry::Refuse);

  // Objects that have all these attributes; more than `limit` is Error{Token}.
  std::vector<CK_OBJECT_HANDLE> find(Template wanted, std::size_t limit = kMaxFound);
  Object create(Template attributes, const std::string& name);
  Object generate(CK_MECHANISM mechanism, Template attributes, const std::string& name);
  struct Pair {
    Object public_key, private_key;
  };
  Pair generate_pair(CK_MECHANISM mechanism, Template public_key, Template private_key,
                     const std::string& name);
  Object derive(CK_MECHANISM mechanism, const Object& base, Template attributes, const std::string& name);
  void destroy(const Object& object);
  // Is called before an object of the token is destroyed, unless it is a data object (CKO_DATA).
  void on_destroy(std::function<void()> call) { on_destroy_ = std::move(call); }
  // An object with the value `secret` (CKA_VALUE), which is copied nowhere on the way.
  Object create_secret(Template attributes, const SecretBuffer& secret, const std::string& name);
  Object unwrap(CK_MECHANISM mechanism, const Object& unwrapping, ByteView wrapped, Template attributes,
                const std::string& name);
  // The user's PIN; one try. The session must be ReadWrite.
  void set_pin(const SecretBuffer& old_pin, const SecretBuffer& new_pin);

  // Nothing where the token has no such attribute or does not reveal it.
  std::optional<Bytes> attribute(const Object& object, CK_ATTRIBUTE_TYPE type);
  std::optional<bool> flag(const Object& object, CK_ATTRIBUTE_TYPE type);
  std::optional<CK_ULONG> number(const Object& object, CK_ATTRIBUTE_TYPE type);

  // Raw signature; `limit` bounds what the token may return.
  Bytes sign(CK_MECHANISM mechanism, const Object& key, ByteView data, std::size_t limit = kMaxSignature);
  Bytes wrap(CK_MECHANISM mechanism, const Object& wrapping, const Object& key,
             std::size_t limit = kMaxSignature);
  // Into `out`, which it must fill exactly.
  void encrypt(CK_MECHANISM mechanism, const Object& key, ByteView plain, MutableBytes out);
  // The same in pieces: begin, update for each, finish. What the mechanism points to must live until then;
  // update and finish return how many bytes of `out` they filled.
  void encrypt_begin(CK_MECHANISM mechanism, const Object& key);
  std::size_t encrypt_update(const Object& key, ByteView plain, MutableBytes out);
  std::size_t encrypt_finish(const Object& key, MutableBytes out);
  // Ends what a failed piece left: a token ends it itself (PKCS #11 section 5.8.3), but NSS softoken does
  // not, and every later C_WrapKey of the session would then find an active operation.
  void abandon_encryption() noexcept;

  // Error{Token} where the module no longer knows the session.
  void require_alive();

  [[nodiscard]] const TokenInfo& token() const { return token_; }

  static constexpr std::size_t kMaxFound = 65536;
  static constexpr std::size_t kMaxSignature = 4096;   // bytes
  static constexpr std::size_t kMaxAttribute = 65536;  // bytes

 private:
  const CK_FUNCTION_LIST& calls_;
  TokenInfo token_;
  CK_SESSION_HANDLE handle_ = CK_INVALID_HANDLE;
  std::function<void()> on_destroy_;
};

// An object that is destroyed at the end of its scope.
class ScopedObject {
 public:
  ScopedObject(Session& session, Object object) : session_(&session), object_(std::move(object)) {}
  ScopedObject(ScopedObject&& other) noexcept
      : session_(std::exchange(other.session_, nullptr)), object_(std::move(other.object_)) {}
  ScopedObject(const ScopedObject&) = delete;
  ScopedObject& operator=(const ScopedObject&) = delete;
  ScopedObject& operator=(ScopedObject&&) = delete;
  ~ScopedObject();
  [[nodiscard]] const Object& get() const { return object_; }

 private:
  Session* session_;
  Object object_;
};

}  // namespace qpcseal::pkcs11
