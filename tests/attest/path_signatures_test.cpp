// SPDX-License-Identifier: Apache-2.0
// A path is verified by way of a cache as OpenSSL alone verifies it: the same answer, error and depth, and
// the same calls of the callback.
#include "attest/path_signatures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "tests/attest/test_certificates.h"

namespace qpcseal::attest {
namespace {

using qpcseal::testing::CertSpec;
using qpcseal::testing::Identity;
using qpcseal::testing::kDay;
using qpcseal::testing::kTestNow;
using qpcseal::testing::make_ec_key;
using qpcseal::testing::make_identity;

using Call = std::tuple<int, int, int>;  // ok, depth, error
using Calls = std::vector<Call>;

int calls_index() {
  static const int kIndex = X509_STORE_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return kIndex;
}

// Notes the call; whether it lets errors pass is the context's application data.
int note(int ok, X509_STORE_CTX* context) {
  static_cast<Calls*>(X509_STORE_CTX_get_ex_data(context, calls_index()))
      ->emplace_back(ok, X509_STORE_CTX_get_error_depth(context), X509_STORE_CTX_get_error(context));
  return ok == 1 || X509_STORE_CTX_get_app_data(context) != nullptr ? 1 : 0;
}

struct Answer {
  int good = 0, error = 0, depth = 0;
  Calls calls;
  bool operator==(const Answer&) const = default;
};

struct Chain {
  Identity root, issuer, leaf;
};

Identity forged(const Identity& certificate) {
  Bytes der = certificate.der();
  der.back() ^= 1;
  return {nullptr, parse_certificate(der)};
}

class PathSignatures : public ::testing::Test {
 protected:
  static Chain chain(const CertSpec& root, const CertSpec& issuer, const CertSpec& leaf) {
    Chain out;
    out.root = make_identity(root, make_ec_key("P-256"), nullptr);
    out.issuer = make_identity(issuer, make_ec_key("P-256"), &out.root);
    out.leaf = make_identity(leaf, make_ec_key("P-256"), &out.issuer);
    return out;
  }
  static Chain good() { return chain(named("root"), named("issuer"), named("leaf")); }
  static CertSpec named(const std::string& name) { return {.common_name = name}; }
  static CertSpec expired(const std::string& name) {
    return {.common_name = name, .not_after = kTestNow - 1};
  }
  static CertSpec early(const std::string& name) {
    return {.common_name = name, .not_before = kTestNow + kDay};
  }

  static Answer verify(const Chain& chain, DerCache* cache, bool lenient) {
    const StorePtr store(X509_STORE_new());
    X509_STORE_add_cert(store.get(), chain.root.certificate.get());
    STACK_OF(X509)* others = sk_X509_new_null();
    sk_X509_push(others, chain.issuer.certificate.get());
    const StoreContextPtr context(X509_STORE_CTX_new());
    X509_STORE_CTX_init(context.get(), store.get(), chain.leaf.certificate.get(), others);
    X509_STORE_CTX_set_time(context.get(), 0, kTestNow);
    Answer out;
    X509_STORE_CTX_set_ex_data(context.get(), calls_index(), &out.calls);
    X509_STORE_CTX_set_app_data(context.get(), lenient ? &out : nullptr);
    X509_STORE_CTX_set_verify_cb(context.get(), note);
    if (cache != nullptr) verify_signatures_once(context.get(), *cache);
    out.good = X509_verify_cert(context.get());
    out.error = X509_STORE_CTX_get_error(context.get());
    out.depth = X509_STORE_CTX_get_error_depth(context.get());
    ERR_clear_error();
    sk_X509_free(others);
    return out;
  }
  // Twice, so that the second time the cache knows the path. The answer of the strict callback.
  Answer expect_as_openssl(const Chain& chain, const std::string& what) {
    for (const bool lenient : {false, true}) {
      const Answer wanted = verify(chain, nullptr, lenient);
      for (int time = 0; time < 2; ++time) {
        const Answer found = verify(chain, &cache, lenient);
        EXPECT_EQ(found, wanted) << what << ": error " << found.error << " at " << found.depth << ", not "
                                 << wanted.error << " at " << wanted.depth;
      }
    }
    return verify(chain, &cache, false);
  }

  DerCache cache;
};

TEST_F(PathSignatures, OfAGoodPathHold) {
  const Answer answer = expect_as_openssl(good(), "good");
  EXPECT_EQ(answer.good, 1);
  EXPECT_EQ(answer.error, X509_V_OK);
}

TEST_F(PathSignatures, AreRefusedWhereTheyAreForged) {
  Chain one = good();
  one.leaf = forged(one.leaf);
  Answer answer = expect_as_openssl(one, "leaf");
  EXPECT_EQ(std::tie(answer.good, answer.error, answer.depth),
            std::make_tuple(0, X509_V_ERR_CERT_SIGNATURE_FAILURE, 0));
  Chain other = good();
  other.issuer = forged(other.issuer);
  answer = expect_as_openssl(other, "issuer");
  EXPECT_EQ(std::tie(answer.good, answer.error, answer.depth),
            std::make_tuple(0, X509_V_ERR_CERT_SIGNATURE_FAILURE, 1));
}

TEST_F(PathSignatures, AreRefusedOutsideOfEachCertificatesTime) {
  const CertSpec root = named("root"), issuer = named("issuer"), leaf = named("leaf");
  const auto expect = [&](const Chain& chain, int error, int depth) {
    const Answer answer = expect_as_openssl(chain, std::to_string(error) + " at " + std::to_string(depth));
    EXPECT_EQ(std::tie(answer.good, answer.error, answer.depth), std::make_tuple(0, error, depth));
  };
  expect(chain(root, issuer, expired("leaf")), X509_V_ERR_CERT_HAS_EXPIRED, 0);
  expect(chain(root, expired("issuer"), leaf), X509_V_ERR_CERT_HAS_EXPIRED, 1);
  expect(chain(expired("root"), issuer, leaf), X509_V_ERR_CERT_HAS_EXPIRED, 2);
  expect(chain(root, issuer, early("leaf")), X509_V_ERR_CERT_NOT_YET_VALID, 0);
  expect(chain(root, early("issuer"), leaf), X509_V_ERR_CERT_NOT_YET_VALID, 1);
  expect(chain(early("root"), issuer, leaf), X509_V_ERR_CERT_NOT_YET_VALID, 2);
}

// OpenSSL counts the second of notAfter as over.
TEST_F(PathSignatures, HoldFromTheFirstSecondToTheOneBeforeTheLast) {
  const auto leaf = [&](UnixTime from, UnixTime to) {
    return expect_as_openssl(chain(named("root"), named("issuer"),
                                   {.common_name = "leaf", .not_before = from, .not_after = to}),
                             "border")
        .error;
  };
  EXPECT_EQ(leaf(kTestNow, kTestNow + 1), X509_V_OK);
  EXPECT_EQ(leaf(kTestNow - 1, kTestNow), X509_V_ERR_CERT_HAS_EXPIRED);
  EXPECT_EQ(leaf(kTestNow + 1, kTestNow + kDay), X509_V_ERR_CERT_NOT_YET_VALID);
}

TEST_F(PathSignatures, FindAllThatIsWrongWhereTheCallbackLetsItPass) {
  Chain bad = chain(early("root"), expired("issuer"), expired("leaf"));
  bad.leaf = forged(bad.leaf);
  expect_as_openssl(bad, "all of it");
  std::vector<std::pair<int, int>> errors;
  for (const auto& [ok, depth, error] : verify(bad, &cache, true).calls)
    if (ok == 0) errors.emplace_back(depth, error);
  EXPECT_THAT(errors, ::testing::ElementsAre(std::pair(2, X509_V_ERR_CERT_NOT_YET_VALID),
                                             std::pair(1, X509_V_ERR_CERT_HAS_EXPIRED),
                                             std::pair(0, X509_V_ERR_CERT_SIGNATURE_FAILURE),
                                             std::pair(0, X509_V_ERR_CERT_HAS_EXPIRED)));
}

TEST_F(PathSignatures, OfAnIssuerAreVerifiedOnceAndOfTheLeafEachTime) {
  const Chain one = good();
  for (int time = 0; time < 3; ++time) EXPECT_EQ(verify(one, &cache, false).good, 1);
  EXPECT_EQ(cache.verified(), 1U) << "the issuer's; the leaf's is not the cache's";
}

}  // namespace
}  // namespace qpcseal::attest
