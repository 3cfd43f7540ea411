// SPDX-License-Identifier: Apache-2.0
// Signed notes and their keys (C2SP signed-note): who signs the log, and how a signature is checked.
//
//   vkey text: <name>+<key id, 8 hex digits>+<base64(type || key)>
//   type 0x01: Ed25519, key = 32 raw bytes,        key id = SHA-256(name || 0x0A || 0x01 || key)[:4]
//   type 0x02: ECDSA P-256 with SHA-256, key = SubjectPublicKeyInfo DER, key id = SHA-256(key)[:4]
//
//   note: text (each line ends in LF), an empty line, then lines of
//         U+2014 SPACE <name> SPACE <base64(key id || signature)>
//
// Ed25519 signatures are 64 bytes, ECDSA ones DER.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace qpcseal::tlog {

enum class KeyType : std::uint8_t { Ed25519 = 1, EcdsaP256 = 2 };

// Signs in the token; the owner of the session implements it.
class Signer {
 public:
  virtual ~Signer() = default;
  virtual Bytes sign(ByteView message) = 0;  // 64 bytes (Ed25519) or DER (ECDSA over SHA-256)
  [[nodiscard]] virtual KeyType type() const = 0;
  [[nodiscard]] virtual Bytes public_key() const = 0;  // 32 bytes, or SubjectPublicKeyInfo DER
};

class VerifierKey {
 public:
  // Error{Malformed} for a name or key that is not of the form above.
  VerifierKey(std::string name, KeyType type, Bytes key);
  static VerifierKey parse(std::string_view vkey);
  [[nodiscard]] std::string text() const;  // the vkey text

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] KeyType type() const { return type_; }
  [[nodiscard]] const Bytes& key() const { return key_; }
  [[nodiscard]] std::array<std::uint8_t, 4> id() const;
  [[nodiscard]] bool verify(ByteView message, ByteView signature) const;
  bool operator==(const VerifierKey&) const = default;

 private:
  std::string name_;
  KeyType type_;
  Bytes key_;
};

// A name may have letters, digits and ASCII punctuation but '+'; 1 to 128 bytes.
[[nodiscard]] bool is_key_name(std::string_view name);

// `text` ends in LF and has no empty line. The signature is checked before it is used: Error{Token} where the
// signer gives one that `key` does not accept.
std::string sign_note(std::string_view text, const VerifierKey& key, Signer& signer);
struct NoteSignature {
  std::string_view name;
  std::array<std::uint8_t, 4> id{};
  Bytes signature;
};
struct Note {
  std::string_view text;  // LF included
  std::vector<NoteSignature> signatures;
};
// Its parts, at most 16 signatures; nothing is verified. Error{Malformed}. Views into `note`.
Note parse_note(std::string_view note);
// The signed text, LF included, a view into `note`. Signatures by other keys are passed over (at most 16
// lines). Error{Malformed} for another shape; Error{LogDamaged} where `key` has no valid signature.
std::string_view open_note(std::string_view note, const VerifierKey& key);

}  // namespace qpcseal::tlog
