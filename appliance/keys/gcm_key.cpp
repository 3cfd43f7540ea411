// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/gcm_key.h"

namespace qpcseal::keys {

namespace {

class TokenWorker final : public seal::GcmWorker {
 public:
  TokenWorker(const pkcs11::Module& module, const pkcs11::TokenInfo& token, pkcs11::Object key,
              pkcs11::GcmAbility ability, Random& random)
      : session_(module, token, pkcs11::Access::ReadOnly),
        encryptor_(session_, ability, std::move(key), random) {}

  void encrypt(ByteView aad, ByteView plain, MutableBytes stored) override {
    encryptor_.encrypt(aad, plain, stored);
  }

 private:
  pkcs11::Session session_;
  pkcs11::GcmEncryptor encryptor_;
};

}  // namespace

std::unique_ptr<seal::GcmWorker> TokenKey::open_worker() {
  return std::make_unique<TokenWorker>(module_, token_, mek_.object, ability_, random_);
}

}  // namespace qpcseal::keys
