// SPDX-License-Identifier: Apache-2.0
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

  void encrypt(ByteView aad, ByteView plain, MutableBytes stored) override {
    if (stored.size() != plain.size() + kIvSize + kTagSize)
      throw Error(ErrorKind::Internal, "HostGcm: sizes");
    const MutableBytes iv = stored.first(kIvSize), tag = stored.last(kTagSize);
    random_.fill(iv);
    require(EVP_EncryptInit_ex2(context_.get(), nullptr, nullptr, iv.data(), nullptr), "EVP_EncryptInit_ex2");
    update(nullptr, aad);
    for (std::size_t at = 0; at < plain.size(); at += kPiece)
      update(stored.data() + kIvSize + at, plain.subspan(at, std::min(kPiece, plain.size() - at)));
    int none = 0;
    require(EVP_EncryptFinal_ex(context_.get(), tag.data(), &none), "EVP_EncryptFinal_ex");
    require(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize, tag.data()), "GET_TAG");
  }

 private:
  static constexpr std::size_t kPiece = std::size_t{64} << 10U;  // bytes a call, whose length is an int

  void update(std::uint8_t* out, ByteView in) {
    int written = 0;
    require(EVP_EncryptUpdate(context_.get(), out, &written, in.data(), static_cast<int>(in.size())),
            "EVP_EncryptUpdate");
  }

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
