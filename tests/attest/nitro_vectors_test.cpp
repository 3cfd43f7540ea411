// SPDX-License-Identifier: Apache-2.0
// Scheme `aws-nitro`: the published documents at the times and with the nonces of their manifest, and with
// each of their bits flipped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <map>

#include "attest/scheme.h"
#include "tests/attest/vectors.h"
#include "tests/base/finding_ids.h"

namespace qpcseal::attest {
namespace {

using namespace qpcseal::testing;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Evidence verify_vector(ByteView report, const VerifyContext& context) {
  return find_scheme("aws-nitro")->verify(report, context);
}

class NitroVectors : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto dir = vectors_folder();
    if (!dir) GTEST_SKIP() << "QPCSEAL_VECTORS is not set";
    valid = read_vector(*dir, "nitro/valid-attestation-doc-bytes");
    debug = read_vector(*dir, "nitro/debug-mode-attestation-doc-bytes");
    const Bytes pem = read_vector(*dir, "nitro/nitro.pem");
    const Owned<BIO, BIO_free_all> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    const CertPtr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    root.resize(static_cast<std::size_t>(i2d_X509(certificate.get(), nullptr)));
    unsigned char* at = root.data();
    i2d_X509(certificate.get(), &at);
  }
  [[nodiscard]] VerifyContext at(const char* time) const {
    return {parse_time(time), {{root}, {sha256(root)}, {}}};
  }
  Bytes valid, debug, root;
};

TEST_F(NitroVectors, TheValidDocumentVerifiesAtItsTime) {
  const Evidence evidence = verify_vector(valid, at("2022-10-13T08:58:02Z"));
  ASSERT_THAT(ids(evidence.findings), IsEmpty());
  const Claims& claims = evidence.claims.value();
  EXPECT_EQ(text_view(claims.ueid), "i-020b6af9246d90e92");
  // The manifest gives the first 20 of the nonce's 256 bytes.
  EXPECT_EQ(claims.nonce.size(), 256U);
  EXPECT_EQ(to_hex(ByteView(claims.nonce).first(20)), "cb3dc2eb76c0c1344adf10cc4868591e5bb7fa4b");
  EXPECT_EQ(claims.dbgstat, 2U);
  EXPECT_EQ(claims.iat, parse_time("2022-10-13T08:58:02Z"));
  ASSERT_EQ(claims.measurements.size(), 6U);  // PCR0 to 4 and 8; the others are zero
  EXPECT_EQ(claims.measurements[0].name, "pcr0");
  EXPECT_EQ(to_hex(claims.measurements[0].digest).substr(0, 8), "f4d48b81");
  EXPECT_EQ(claims.measurements[5].name, "pcr8");
  EXPECT_FALSE(claims.oemid || claims.hwmodel || claims.hwversion || claims.oemboot || claims.lifecycle);
  EXPECT_FALSE(claims.session_key);
  EXPECT_EQ(claims.session_key_fault, "no public_key");
  EXPECT_EQ(evidence.root, sha256(root));
}

TEST_F(NitroVectors, OutsideItsWindowItIsRefused) {
  for (const char* time : {"2022-10-13T08:57:59Z", "2022-10-13T11:58:01Z"})
    EXPECT_TRUE(verify_vector(valid, at(time)).claims.has_value()) << time;
  for (const char* time : {"2022-10-13T08:57:58Z", "2022-10-13T11:58:02Z", "2026-11-24T00:00:00Z"}) {
    const Evidence evidence = verify_vector(valid, at(time));
    EXPECT_FALSE(evidence.claims.has_value()) << time;
    EXPECT_THAT(ids(evidence.findings), ElementsAre("ATT-CHAIN-TIME")) << time;
  }
}

TEST_F(NitroVectors, TheDebugDocumentVerifiesAndSaysSo) {
  const Evidence evidence = verify_vector(debug, at("2022-10-12T13:50:06Z"));
  ASSERT_THAT(ids(evidence.findings), IsEmpty());
  EXPECT_EQ(evidence.claims->dbgstat, 0U);
  EXPECT_THAT(evidence.claims->nonce, IsEmpty());
  EXPECT_FALSE(evidence.claims->session_key);  // its public_key is a line of text
  EXPECT_EQ(evidence.claims->session_key_fault, "session key: no SubjectPublicKeyInfo");
}

TEST_F(NitroVectors, WithoutThatRootTheyAreRefused) {
  VerifyContext context = at("2022-10-13T08:58:02Z");
  context.anchors.allowed = {sha256(view("another"))};
  EXPECT_THAT(ids(verify_vector(valid, context).findings), Contains("ATT-CHAIN-ROOT"));
}

// Every bit of both documents, in parts that run side by side. What does not fall to the reader falls to the
// signature, whatever else is found. That is asked without a root, where a verification has one signature to
// look at and not five; and of every 61st bit, so that each place in a byte has its turn, with the root too.
constexpr std::size_t kParts = 4, kWithRoot = 61;
class NitroBits : public NitroVectors, public ::testing::WithParamInterface<std::size_t> {
 protected:
  void expect_all_refused(const Bytes& document, const char* time) {
    const VerifyContext context = at(time);
    VerifyContext rootless = context;
    rootless.anchors.roots.clear();
    ASSERT_TRUE(verify_vector(document, context).claims.has_value());
    ASSERT_THAT(ids(verify_vector(document, rootless).findings), ElementsAre("ATT-CHAIN-ROOT"));
    int flips = 0;
    for (std::size_t bit = GetParam(); bit < document.size() * 8; bit += kParts, ++flips) {
      Bytes report = document;
      report[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      ASSERT_NO_FATAL_FAILURE(expect_refused(report, rootless)) << "bit " << bit;
      if (bit % kWithRoot == 0) {
        ASSERT_NO_FATAL_FAILURE(expect_refused(report, context)) << "bit " << bit;
      }
    }
    std::cout << flips << " flips of " << document.size() << " bytes, all refused;";
    for (const auto& [id, count] : counts) std::cout << " " << id << " " << count;
    std::cout << "\n";
  }

 private:
  void expect_refused(const Bytes& report, const VerifyContext& context) {
    const Evidence evidence = verify_vector(report, context);
    ASSERT_FALSE(evidence.claims.has_value());
    ASSERT_THAT(ids(evidence.findings), Contains(AnyOf("ATT-COSE", "ATT-SIGNATURE")));
    for (const std::string& id : ids(evidence.findings)) ++counts[id];
  }
  std::map<std::string, int> counts;
};
INSTANTIATE_TEST_SUITE_P(Part, NitroBits, ::testing::Range(std::size_t{0}, kParts));

TEST_P(NitroBits, EachOfTheValidDocument) { expect_all_refused(valid, "2022-10-13T08:58:02Z"); }
TEST_P(NitroBits, EachOfTheDebugDocument) { expect_all_refused(debug, "2022-10-12T13:50:06Z"); }

}  // namespace
}  // namespace qpcseal::attest
