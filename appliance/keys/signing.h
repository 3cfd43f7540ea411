// SPDX-License-Identifier: Apache-2.0
// The appliance's own signing keys in the token: one for the log, one for seals.
#pragma once

#include <optional>
#include <string>

#include "appliance/seal/key_handle.h"
#include "pkcs11/session.h"
#include "tlog/note.h"

namespace qpcseal::keys {

inline constexpr const char* kSealKeyLabel = "qpcseal-seal";
inline constexpr const char* kLogKeyLabel = "qpcseal-log";

using SigningType = tlog::KeyType;

// Ed25519 where the token has EdDSA, else ECDSA P-256; found by making a key pair in the token, signing and
// verifying, for there are tokens that sign with session objects alone, and others that do not. The pair is
// destroyed. Nothing where it can do neither.
std::optional<SigningType> probe_signing(pkcs11::Session& session);

// Labels of the log's keys that the token holds, in order: kLogKeyLabel, and "qpcseal-log#2" and so on after
// rotations. More than one only while a rotation is under way, or was cut short.
std::vector<std::string> log_key_labels(pkcs11::Session& session);
std::string log_key_label(std::size_t generation);
// Both halves of the pair; what is not there is no error. Error{Token}.
void destroy_signing_key(pkcs11::Session& session, const std::string& label);

// Whether the token holds a key with one of our labels.
bool has_signing_keys(pkcs11::Session& session);

// A key pair in the token: private, sensitive, never extractable. Its CKA_ID is `id`, or the label.
// Error{Token}.
pkcs11::Session::Pair generate_signing_key(pkcs11::Session& session, const std::string& label,
                                           SigningType type, ByteView id = {});

class SigningKey {
 public:
  // The one pair with this label. Error{Token} where there is none or more than one.
  SigningKey(pkcs11::Session& session, const std::string& label);
  [[nodiscard]] SigningType type() const { return type_; }
  [[nodiscard]] const Bytes& spki() const { return spki_; }  // SubjectPublicKeyInfo, DER
  // 64 bytes: Ed25519, or ECDSA P-256 over SHA-256 as r || s. Verified on the host before it is returned.
  Bytes sign(ByteView message);

 private:
  pkcs11::Session& session_;
  pkcs11::Object private_key_;
  SigningType type_ = SigningType::Ed25519;
  Bytes spki_;
};

// For the log: ECDSA signatures as DER.
class LogSigner final : public tlog::Signer {
 public:
  explicit LogSigner(SigningKey& key) : key_(key) {}
  Bytes sign(ByteView message) override;
  [[nodiscard]] tlog::KeyType type() const override { return key_.type(); }
  [[nodiscard]] Bytes public_key() const override;

 private:
  SigningKey& key_;
};

class SealKey final : public seal::SealSigner {
 public:
  explicit SealKey(SigningKey& key) : key_(key) {}
  Bytes sign(ByteView message) override { return key_.sign(message); }

 private:
  SigningKey& key_;
};

}  // namespace qpcseal::keys
