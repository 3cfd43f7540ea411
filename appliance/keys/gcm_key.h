// SPDX-License-Identifier: Apache-2.0
// A MEK in the token as a seal::KeyHandle: one session a worker.
#pragma once

#include "appliance/keys/mek.h"
#include "appliance/seal/key_handle.h"
#include "base/random.h"
#include "pkcs11/gcm.h"

namespace qpcseal::keys {

class TokenKey final : public seal::KeyHandle {
 public:
  // `module` must outlive all workers; the process must be logged in.
  TokenKey(const pkcs11::Module& module, const pkcs11::TokenInfo& token, Mek mek, pkcs11::GcmAbility ability,
           Random& random)
      : module_(module), token_(token), mek_(std::move(mek)), ability_(ability), random_(random) {}
  [[nodiscard]] ByteView id() const override { return mek_.id; }
  [[nodiscard]] std::unique_ptr<seal::GcmWorker> open_worker() override;

 private:
  const pkcs11::Module& module_;
  pkcs11::TokenInfo token_;
  Mek mek_;
  pkcs11::GcmAbility ability_;
  Random& random_;
};

}  // namespace qpcseal::keys
