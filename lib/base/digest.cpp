// SPDX-License-Identifier: Apache-2.0
#include "base/digest.h"

#include <openssl/evp.h>

#include "base/error.h"

namespace qpcseal {

namespace {
void require(int ok, const char* call) {
  if (ok != 1) throw Error(ErrorKind::Internal, std::string(call) + " failed");
}
}  // namespace

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() { require(EVP_DigestInit_ex(context, EVP_sha256(), nullptr), "EVP_DigestInit_ex"); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
  // The algorithm stays: to look it up again costs as much as a small message.
  void restart() const { require(EVP_DigestInit_ex(context, nullptr, nullptr), "EVP_DigestInit_ex"); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(ByteView bytes) {
  require(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()), "EVP_DigestUpdate");
}

Sha256Digest Sha256::finish() {
  Sha256Digest out{};
  require(EVP_DigestFinal_ex(state_->context, out.data(), nullptr), "EVP_DigestFinal_ex");
  state_->restart();
  return out;
}

Sha256Digest Sha256::peek() const {
  Sha256 branch;
  require(EVP_MD_CTX_copy_ex(branch.state_->context, state_->context), "EVP_MD_CTX_copy_ex");
  return branch.finish();
}

Sha256Digest sha256(ByteView bytes) {
  Sha256Digest out{};
  require(EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, EVP_sha256(), nullptr), "EVP_Digest");
  return out;
}

Bytes sha384(ByteView bytes) {
  Bytes out(48);
  require(EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, EVP_sha384(), nullptr), "EVP_Digest");
  return out;
}

std::string sha256_hex(ByteView bytes) { return to_hex(sha256(bytes)); }

std::string sha256_hex(std::string_view text) { return sha256_hex(view(text)); }

}  // namespace qpcseal
