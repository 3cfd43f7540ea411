// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/wrap.h"
#include "pkcs11/probe.h"

namespace qpcseal::keys {

namespace {

// Peers for trials: the generators of P-256 and P-384 (SEC 2 sections 2.4.2 and 2.5.1), and an RSA-3072
// public key whose private half was thrown away. Nothing but throw-away keys is ever wrapped to them.
constexpr std::string_view kP256Generator =
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
constexpr std::string_view kP384Generator =
    "04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
    "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f";
constexpr std::string_view kRsaSpki =
    "MIIBojANBgkqhkiG9w0BAQEFAAOCAY8AMIIBigKCAYEA7GMQuic4T1BeqSZ9PrxJ0HlWviQWTJSQVh7WzWEayQkpTRHzclDqKXNH"
    "Ctx62eXKyh6GBQgGKmh/at79hy3STomgkLiN7Y0N0/P07OnPtODHg8JJX20fVO75DoxK8LqFbeHoBP5oP1MxaGRcZnyC1t1/PqHx"
    "n4dqM1ZX9LsLbdI6Xz+PPXZ9jNvA5F/PXVawPn/4PYjgY0Yee5IvJjevceNbp5v4cWT+wlWUkHe6G7b5kUZn2HfB1sxhYLHUOLhD"
    "GDYD0zyQkQarydFFJih6OkvoLbxafqqA303i7AF+QA1LGiZIxbeSgYoA4O/eIhUfkQx+BMi8D/X6TNLiXsJkBLBOJO+WRJf9q7zs"
    "FxiVXUCXnWAQ3X5qH7FfOgrhEa/KbE2qrDZUvfdomlmHO7xLgXdrGMu+mQ192c+tVih+i7jcfpxzbSHaDkyFGUOZM0ASWN5KtBs0"
    "lfyZPh6YIq1AzJX18FMkYpTbGTU5x8hz6d74buzD9K1tuYlafJ85Xuu9AgMBAAE=";

Peer trial_peer(PeerType type) {
  const Bytes ueid(16, 0x11);
  switch (type) {
    case PeerType::P256:
      return {type, from_hex(kP256Generator), ueid};
    case PeerType::P384:
      return {type, from_hex(kP384Generator), ueid};
    case PeerType::Rsa:
      break;
  }
  return {PeerType::Rsa, from_base64(kRsaSpki), ueid};
}

Mek throw_away_key(pkcs11::Session& session) {
  pkcs11::Template key;
  key.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, CKK_AES)
      .number(CKA_VALUE_LEN, 16)
      .flag(CKA_TOKEN, false)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, true)
      .flag(CKA_ENCRYPT, true);
  Mek out;
  out.object = session.generate({CKM_AES_KEY_GEN, nullptr, 0}, key, "probe key");
  out.id = Bytes(kMekIdSize, 0);
  return out;
}

bool works(pkcs11::Session& session, const Mek& key, const SuiteAbility& ability) {
  return pkcs11::probe(session, [&] {
    static_cast<void>(wrap_mek(session, key, ability.suite, trial_peer(ability.type), Bytes(32, 0)));
  });
}

}  // namespace

std::vector<SuiteAbility> probe_suites(pkcs11::Session& session) {
  const Mek key = throw_away_key(session);
  const pkcs11::ScopedObject cleanup(session, key.object);
  std::vector<SuiteAbility> out;
  for (const SuiteAbility ability :
       {SuiteAbility{Suite::EcdhX963, PeerType::P256}, SuiteAbility{Suite::EcdhX963, PeerType::P384},
        SuiteAbility{Suite::EcdhEcbKdf, PeerType::P256}, SuiteAbility{Suite::OaepSha256, PeerType::Rsa},
        SuiteAbility{Suite::OaepSha1, PeerType::Rsa}}) {
    if (works(session, key, ability)) out.push_back(ability);
  }
  return out;
}

}  // namespace qpcseal::keys
