// SPDX-License-Identifier: Apache-2.0
// A key in the clear, out of real tokens: by its permit alone, once, and no object stays behind.
#include <gtest/gtest.h>

#include <algorithm>

#include "appliance/keys/expose_mek.h"
#include "base/error.h"
#include "tests/base/expect_error.h"
#include "tests/support/tokens.h"

namespace qpcseal::release {

// Stands for the one class that makes permits: this program is linked without it.
class Exposure {
 public:
  static keys::ExposurePermit permit(const Bytes& mek_id) { return keys::ExposurePermit(mek_id); }
};

}  // namespace qpcseal::release

namespace qpcseal::keys {
namespace {

using release::Exposure;
using testing::TestToken;

class Exposed : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    token_ = GetParam() == "nss" ? TestToken::nss() : TestToken::softhsm();
    if (!token_) GTEST_SKIP() << "NSS softoken is not installed";
    pkcs11::Session fresh(token_->module(), token_->info(), pkcs11::Access::ReadOnly);
    SecretBuffer value(16);
    std::ranges::copy(kValue, value.bytes().begin());
    mek_ = import_mek(token_->session(), fresh, "net", 1, kId, value, probe_desired(token_->session()));
  }
  [[nodiscard]] std::size_t secrets() const {
    pkcs11::Template wanted;
    wanted.number(CKA_CLASS, CKO_SECRET_KEY);
    return token_->session().find(std::move(wanted)).size();
  }
  SecretBuffer expose(ExposurePermit permit) {
    return expose_mek(token_->session(), mek_, std::move(permit), random_);
  }

  const Bytes kValue{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, kId = Bytes(16, 0x42);
  std::unique_ptr<TestToken> token_;
  Mek mek_;
  SystemRandom random_;
};

TEST_P(Exposed, AreTheKeysBytes) {
  const std::size_t before = secrets();
  const SecretBuffer out = expose(Exposure::permit(kId));
  EXPECT_EQ(copy(out.bytes()), kValue);
  EXPECT_EQ(secrets(), before) << "the one-time key is gone";
}

TEST_P(Exposed, NeedAPermitForThisKey) {
  EXPECT_ERROR(Internal, "without a permit", expose(Exposure::permit(Bytes(16, 0x43))));
  EXPECT_ERROR(Internal, "without a permit", expose(Exposure::permit({})));
  ExposurePermit permit = Exposure::permit(kId);
  static_cast<void>(expose(std::move(permit)));
  EXPECT_ERROR(Internal, "without a permit", expose(std::move(permit)));  // NOLINT(bugprone-use-after-move)
}

TEST_P(Exposed, CanBeTriedWithoutBeingExposed) {
  const std::size_t before = secrets();
  EXPECT_NO_THROW(try_exposure(token_->session(), mek_, random_));
  EXPECT_EQ(secrets(), before) << "no trial key stays behind";
}

INSTANTIATE_TEST_SUITE_P(Tokens, Exposed, ::testing::Values("softhsm", "nss"));

}  // namespace
}  // namespace qpcseal::keys
