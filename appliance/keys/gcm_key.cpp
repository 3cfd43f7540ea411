#include "appliance/keys/gcm_key.h"

namespace qpcseal::keys {

namespace {

class TokenWorker final : public seal::GcmWorker {
 public:
  TokenWorker(const pkcs11::Module& module, const pkcs11::TokenInfo& token, pkcs11::Object key,
              pkcs11::GcmAbility ability, Random& random)
      : session_(module, token, pkcs11::Access::ReadOnly),
        key_(std::move(key)),
        ability_(ability),
        random_(random) {}

  void encrypt(MutableBytes iv, ByteView aad, ByteView plain, MutableBytes out) override {
    pkcs11::gcm_encrypt(session_, ability_, key_, random_, iv, aad, plain, out);
  }

 private:
  pkcs11::Session session_;
  pkcs11::Object key_;
  pkcs11::GcmAbility ability_;
  Random& random_;
};

}  // namespace

std::unique_ptr<seal::GcmWorker> TokenKey::open_worker() {
  return std::make_unique<TokenWorker>(module_, token_, mek_.object, ability_, random_);
}

}  // namespace qpcseal::keys
