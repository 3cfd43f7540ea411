// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bare_verify.h"

#include <openssl/evp.h>

#include "base/error.h"

namespace qpcseal::bench {

namespace {

constexpr std::size_t kTextSize = 700;      // bytes
constexpr std::size_t kMaxSignature = 128;  // bytes

void require(int result) {
  if (result != 1) throw Error(ErrorKind::Internal, "ECDSA");
}

}  // namespace

BareVerify::BareVerify() {
  for (std::size_t i = 0; i < kSignaturesAReport; ++i) {
    Signed item{KeyPtr(EVP_EC_gen("P-384")), Bytes(kTextSize, static_cast<std::uint8_t>(i)),
                Bytes(kMaxSignature)};
    const DigestContextPtr context(EVP_MD_CTX_new());
    std::size_t size = item.signature.size();
    require(EVP_DigestSignInit(context.get(), nullptr, EVP_sha384(), nullptr, item.key.get()));
    require(EVP_DigestSign(context.get(), item.signature.data(), &size, item.text.data(), item.text.size()));
    item.signature.resize(size);
    items_.push_back(std::move(item));
  }
}

void BareVerify::reports(std::size_t count) const {
  for (std::size_t i = 0; i < count; ++i)
    for (const Signed& item : items_) {
      const DigestContextPtr context(EVP_MD_CTX_new());
      require(EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha384(), nullptr, item.key.get()));
      require(EVP_DigestVerify(context.get(), item.signature.data(), item.signature.size(), item.text.data(),
                               item.text.size()));
    }
}

}  // namespace qpcseal::bench
