// SPDX-License-Identifier: Apache-2.0
// The one way on which a MEK leaves the token in the clear (invariant 1's second exception): for the vendor's
// tool.
//
// It takes a permit. Only release::Exposure can make one, and makes it only where the policy names the
// format, officers agreed as the policy asks, and the log has the entry that says so.
#pragma once

#include <utility>

#include "appliance/keys/mek.h"
#include "base/random.h"
#include "base/secret.h"

namespace qpcseal::release {
class Exposure;
}

namespace qpcseal::keys {

// Serves once, for one key.
class ExposurePermit {
 public:
  ExposurePermit(ExposurePermit&& other) noexcept : mek_id_(std::exchange(other.mek_id_, {})) {}
  ExposurePermit& operator=(ExposurePermit&&) = delete;
  ExposurePermit(const ExposurePermit&) = delete;
  ExposurePermit& operator=(const ExposurePermit&) = delete;
  ~ExposurePermit() = default;
  [[nodiscard]] const Bytes& mek_id() const { return mek_id_; }

 private:
  friend class release::Exposure;
  explicit ExposurePermit(Bytes mek_id) : mek_id_(std::move(mek_id)) {}
  Bytes mek_id_;  // empty: spent
};

// Has the token do all that expose_mek() asks of it, and exposes no MEK: a throw-away key comes out under a
// one-time key, and the MEK is wrapped to a key that the token made and nobody knows (C_GenerateKey,
// C_CreateObject, C_WrapKey). Error{Token}.
void try_exposure(pkcs11::Session& session, const Mek& mek, Random& random);

// The MEK's 16 bytes, in locked memory: wrapped in the token (C_WrapKey, CKM_AES_KEY_WRAP) by a one-time
// AES-256 key that this process made (C_CreateObject), and unwrapped here. Error{Internal} for a permit of
// another key or one that is spent; Error{Token} where the token takes no keys in the clear, or does not
// wrap.
SecretBuffer expose_mek(pkcs11::Session& session, const Mek& mek, ExposurePermit permit, Random& random);

}  // namespace qpcseal::keys
