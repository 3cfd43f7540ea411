#include "appliance/seal/data_key.h"

#include <openssl/evp.h>

#include <algorithm>

#include "appliance/seal/format.h"
#include "base/error.h"

namespace qpcseal::seal {

namespace {

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const noexcept {
    EVP_CIPHER_CTX_free(context);
  }  // zeroes the key schedule
};

void require(int result, const char* call) {
  if (result != 1) throw Error(ErrorKind::Internal, std::string(call) + " failed");
}

class HostGcm final : public GcmWorker {
 public:
  HostGcm(const SecretBuffer& key, Random& random) : random_(random), context_(EVP_CIPHER_CTX_new()) {
    if (!context_) throw Error(ErrorKind::Internal, "EVP_CIPHER_CTX_new failed");
    require(EVP_EncryptInit_ex2(context_.get(), EVP_aes_128_gcm(), key.bytes().data(), nullptr, nullptr),
            "EVP_EncryptInit_ex2");
  }

  void encrypt(MutableBytes iv, ByteView aad, ByteView plain, MutableBytes out) override {
    if (iv.size() != kIvSize || out.size() != plain.size() + kTagSize)
      throw Error(ErrorKind::Internal, "HostGcm: sizes");
    random_.fill(iv);
    require(EVP_EncryptInit_ex2(context_.get(), nullptr, nullptr, iv.data(), nullptr), "EVP_EncryptInit_ex2");
    int written = 0;
    require(EVP_EncryptUpdate(context_.get(), nullptr, &written, aad.data(), static_cast<int>(aad.size())),
            "EVP_EncryptUpdate");
    require(
        EVP_EncryptUpdate(context_.get(), out.data(), &written, plain.data(), static_cast<int>(plain.size())),
        "EVP_EncryptUpdate");
    require(EVP_EncryptFinal_ex(context_.get(), out.data() + written, &written), "EVP_EncryptFinal_ex");
    require(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize, out.data() + plain.size()),
            "GET_TAG");
  }

 private:
  Random& random_;
  std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context_;
};

}  // namespace

SecretBuffer make_data_key(Random& random) {
  SecretBuffer key(kDataKeySize);
  random.fill(key.bytes());
  return key;
}

std::unique_ptr<GcmWorker> open_data_key(const SecretBuffer& key, Random& random) {
  return std::make_unique<HostGcm>(key, random);
}

}  // namespace qpcseal::seal
