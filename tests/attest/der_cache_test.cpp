// SPDX-License-Identifier: Apache-2.0
// What is parsed once: exact bytes, and how much is kept.
#include "attest/der_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/attest/test_certificates.h"
#include "tests/base/expect_error.h"
#include "tests/base/finding_ids.h"

namespace qpcseal::attest {
namespace {

using qpcseal::testing::Identity;
using qpcseal::testing::ids;
using qpcseal::testing::make_crl;
using qpcseal::testing::make_ec_key;
using qpcseal::testing::make_identity;
using qpcseal::testing::make_rsa_key;
using ::testing::ElementsAre;

constexpr std::size_t kMaxDer = 65536, kMaxCertificates = 256;

KeyPtr again(const KeyPtr& key) {
  EVP_PKEY_up_ref(key.get());
  return KeyPtr(key.get());
}

// Signed with RSA, so that its size follows the comment's alone.
Identity with_comment(const KeyPtr& key, std::size_t size) {
  return make_identity(
      {.common_name = "long", .more = {{NID_netscape_comment, std::string(size, 'c')}}, .digest = "SHA256"},
      again(key), nullptr);
}

class Ders : public ::testing::Test {
 protected:
  KeyPtr key = make_ec_key("P-256");
  Identity root = make_identity({.common_name = "root"}, again(key), nullptr);
  DerCache cache;

  // A certificate of the root's, unlike any other.
  [[nodiscard]] Identity fresh() const { return make_identity({.common_name = "leaf"}, again(key), &root); }
  bool issued(const Identity& certificate) {
    return cache.issued(root.certificate.get(), certificate.certificate.get());
  }
};

TEST_F(Ders, OfACertificateAreExact) {
  const Bytes der = root.der();
  EXPECT_EQ(X509_cmp(parse_certificate(der).get(), root.certificate.get()), 0);
  Bytes longer = der;
  longer.push_back(0);
  const Bytes list = make_crl(root, {});
  for (const ByteView bytes :
       {ByteView(longer), ByteView(der).first(der.size() - 1), ByteView(list), ByteView()}) {
    EXPECT_ERROR(Malformed, "not one DER certificate", parse_certificate(bytes));
    EXPECT_ERROR(Malformed, "not one DER certificate", cache.certificate(bytes));
  }
  EXPECT_EQ(ERR_peek_error(), 0U) << "OpenSSL's errors are taken away";
}

TEST_F(Ders, OfACertificateHaveAtMost64KiB) {
  const KeyPtr rsa = make_rsa_key(2048);
  const std::size_t rest = with_comment(rsa, 60000).der().size() - 60000;
  const Bytes longest = with_comment(rsa, kMaxDer - rest).der();
  ASSERT_EQ(longest.size(), kMaxDer);
  EXPECT_TRUE(parse_certificate(longest));
  EXPECT_ERROR(Malformed, "not one DER certificate",
               parse_certificate(with_comment(rsa, kMaxDer - rest + 1).der()));
}

TEST_F(Ders, AreParsedOnceUpToACount) {
  const CertPtr first = cache.certificate(root.der());
  for (std::size_t i = 1; i < kMaxCertificates; ++i) cache.certificate(fresh().der());
  EXPECT_EQ(cache.certificate(root.der()).get(), first.get());
  const Bytes more = fresh().der();
  const CertPtr one = cache.certificate(more), two = cache.certificate(more);
  EXPECT_NE(one.get(), two.get()) << "beyond 256 nothing is kept";
  EXPECT_EQ(X509_cmp(one.get(), two.get()), 0);
  EXPECT_EQ(cache.certificate(root.der()).get(), first.get());
}

TEST_F(Ders, GiveCertificatesThatOutliveTheCache) {
  CertPtr kept;
  {
    DerCache shorter;
    kept = shorter.certificate(root.der());
  }
  EXPECT_EQ(X509_cmp(kept.get(), root.certificate.get()), 0);
}

TEST_F(Ders, OfAListAreReadOnceOrSayWhyNot) {
  const Bytes der = make_crl(root, {.number = 5});
  const DerCache::Crl& list = cache.crl(der);
  ASSERT_TRUE(list.info);
  EXPECT_EQ(list.info->number, Bytes{5});
  EXPECT_TRUE(list.faults.empty());
  EXPECT_EQ(&cache.crl(copy(der)), &list) << "by its bytes";
  const DerCache::Crl& odd = cache.crl(make_crl(root, {.number = std::nullopt}));
  EXPECT_TRUE(odd.list) << "a list";
  EXPECT_FALSE(odd.info) << "that is not taken";
  EXPECT_THAT(ids(odd.faults), ElementsAre("ATT-CRL"));
  const DerCache::Crl& junk = cache.crl(view("junk"));
  EXPECT_FALSE(junk.list);
  EXPECT_FALSE(junk.info);
  EXPECT_THAT(ids(junk.faults), ElementsAre("ATT-CRL"));
  EXPECT_EQ(&cache.crl(der), &list) << "others do not move it";
}

TEST_F(Ders, OfAListKnowWhoSignedIt) {
  const Identity namesake = make_identity({.common_name = "root"}, make_ec_key("P-256"), nullptr);
  const DerCache::Crl& list = cache.crl(make_crl(root, {}));
  for (int time = 0; time < 2; ++time) {
    EXPECT_TRUE(cache.signs(root.certificate.get(), list));
    EXPECT_FALSE(cache.signs(namesake.certificate.get(), list));
  }
  EXPECT_FALSE(cache.signs(root.certificate.get(), cache.crl(view("junk")))) << "no list";
  EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST_F(Ders, OfOneCertificateAreVerifiedOnceForEachIssuer) {
  const Identity namesake = make_identity({.common_name = "root"}, make_ec_key("P-256"), nullptr),
                 leaf = fresh();
  for (int time = 0; time < 3; ++time) {
    EXPECT_TRUE(issued(leaf));
    EXPECT_FALSE(cache.issued(namesake.certificate.get(), leaf.certificate.get())) << "and that is kept too";
  }
  EXPECT_EQ(cache.verified(), 2U);
  EXPECT_TRUE(issued(fresh()));
  EXPECT_EQ(cache.verified(), 3U);
}

TEST_F(Ders, RememberSoManySignaturesAndVerifyTheOthersEachTime) {
  const Identity first = fresh();
  EXPECT_TRUE(issued(first));
  for (std::size_t i = 1; i < kMaxCertificates; ++i) issued(fresh());
  ASSERT_EQ(cache.verified(), kMaxCertificates);
  const Identity more = fresh();
  EXPECT_TRUE(issued(more));
  EXPECT_TRUE(issued(more));
  EXPECT_EQ(cache.verified(), kMaxCertificates + 2);
  EXPECT_TRUE(issued(first));
  EXPECT_EQ(cache.verified(), kMaxCertificates + 2);
}

TEST_F(Ders, AreOneForSeveralThreads) {
  const Identity leaf = fresh();
  const Bytes der = leaf.der(), list = make_crl(root, {});
  std::vector<int> good(4);
  {
    std::vector<std::jthread> threads;
    for (int& one : good)
      threads.emplace_back([&] {
        for (int i = 0; i < 50; ++i) {
          const CertPtr mine = cache.certificate(der);
          const bool right = cache.signs(root.certificate.get(), cache.crl(list)) &&
                             cache.issued(root.certificate.get(), mine.get());
          one += right ? 1 : 0;
        }
      });
  }
  EXPECT_EQ(good, std::vector<int>(4, 50));
  EXPECT_EQ(cache.verified(), 1U);
}

}  // namespace
}  // namespace qpcseal::attest
