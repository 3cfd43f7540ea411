// SPDX-License-Identifier: Apache-2.0
// Model Encryption Keys in the token: AES-128, label `name#generation`, random 16-byte CKA_ID.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pkcs11/session.h"

namespace qpcseal::keys {

inline constexpr std::size_t kMekIdSize = 16;  // bytes

struct Mek {
  pkcs11::Object object;
  std::string label, name;
  std::uint64_t generation = 0;
  Bytes id;
};

// How a key came into the token. What its attributes must be depends on it.
enum class Origin {
  Generated,   // made in the token
  Restored,    // unwrapped from a backup, to wrap only: its source still counts encryptions
  Transferee,  // unwrapped from a backup whose source key is destroyed: it goes on in its place
  Imported,    // from a file
};
std::string_view to_string(Origin origin);  // "generated", "restored", "transferee", "imported"
std::optional<Origin> origin_from(std::string_view name);

// Attributes that a token may lack where the site facts accept it (`accept`).
inline constexpr std::string_view kDesired[] = {"not-copyable", "not-modifiable", "allowed-mechanisms",
                                                "local", "always-sensitive"};
bool is_desired(std::string_view name);

inline constexpr std::string_view kUnknownMek = "mek-unknown";  // Error::code() of find_mek()

// A name that can be part of a label: letters, digits, '.', '_', '-'; 1 to 64 bytes.
[[nodiscard]] bool is_name(std::string_view name);
// Error{Usage} for what is none.
void check_name(std::string_view name);
std::string make_label(std::string_view name, std::uint64_t generation);
// The name in a label; a name alone is its own.
std::string_view name_in(std::string_view label);
// A label's generation: digits without leading zeros, at most nine. Nothing: it is none.
std::optional<std::uint64_t> parse_generation(std::string_view digits);

// Generates in the token and checks in `fresh`, another session: a key whose required attributes read back
// otherwise is destroyed again. `accept` names desired attributes that are not asked for. Error{Token}.
Mek generate_mek(pkcs11::Session& session, pkcs11::Session& fresh, const std::string& name,
                 std::uint64_t generation, ByteView id, const std::vector<std::string>& accept);

// For restored and imported keys: the attributes to ask for, and the check of the key that was made, as
// above.
pkcs11::Template mek_template(const std::string& label, ByteView id, const std::vector<std::string>& accept,
                              Origin origin);
Mek check_made(pkcs11::Session& session, pkcs11::Session& fresh, const pkcs11::Object& made,
               const std::string& label, ByteView id, const std::vector<std::string>& accept, Origin origin);

// A key from a file: `value` has 16 bytes. Error{Token} where the token takes no keys in the clear.
Mek import_mek(pkcs11::Session& session, pkcs11::Session& fresh, const std::string& name,
               std::uint64_t generation, ByteView id, const SecretBuffer& value,
               const std::vector<std::string>& accept);

// All MEKs: AES token keys whose label is `name#generation` and whose id has 16 bytes; by label.
std::vector<Mek> list_meks(pkcs11::Session& session);

// `reference` is a name (its newest generation), a label, or a PKCS #11 URI. Error{Token} where
// nothing or more than one object matches; Error{Malformed} for a path or an existing file, naming `mek
// import`.
Mek find_mek(pkcs11::Session& session, const std::string& reference);
// By id; Error{Token} as above.
Mek find_mek_by_id(pkcs11::Session& session, ByteView id);

// Observed where the token has no true value for the attribute, and something else proves what is expected.
inline constexpr std::string_view kNotGiven = "not given";

struct AttributeReport {
  std::string name;      // "CKA_SENSITIVE"
  std::string observed;  // "true", "false", "absent", ...
  std::string expected;
  bool required = true;  // else desired
  bool good = false;
  bool accepted = false;  // not good, desired, and named in `accept`
};
// The table of required and desired attributes of a MEK of that origin, as the token reports them now.
std::vector<AttributeReport> inspect_mek(pkcs11::Session& session, const pkcs11::Object& mek,
                                         const std::vector<std::string>& accept,
                                         Origin origin = Origin::Generated);

// Which of kDesired the token does not honour on a generated token key, found by making one and destroying
// it.
std::vector<std::string> probe_desired(pkcs11::Session& session);

}  // namespace qpcseal::keys
