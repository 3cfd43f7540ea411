// SPDX-License-Identifier: Apache-2.0
// Files that are given in place of a report: keys and certificates are refused as what they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attest/request.h"
#include "attest/scheme.h"
#include "tests/attest/test_card.h"
#include "tests/base/expect_error.h"
#include "tests/base/finding_ids.h"

namespace qpcseal::attest {
namespace {

using qpcseal::testing::cbor_map;
using qpcseal::testing::ids;
using qpcseal::testing::make_ec_key;
using qpcseal::testing::make_identity;
using qpcseal::testing::make_rsa_key;
using qpcseal::testing::make_sign1;
using qpcseal::testing::TestCard;
using ::testing::ElementsAre;

Bytes spki(const KeyPtr& key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key.get(), &der);
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

std::string pem_of(const char* type) {
  return "text before it\n-----BEGIN " + std::string(type) + "-----\nAAAA\n-----END " + type + "-----\n";
}

TEST(ReportKind, IsNoKeyOrCertificateInPem) {
  const auto refuse = [](const char* type) { refuse_bare_key(view(pem_of(type))); };
  for (const char* type : {"PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"})
    EXPECT_ERROR(Malformed, "a private key", refuse(type));
  for (const char* type : {"PUBLIC KEY", "RSA PUBLIC KEY"})
    EXPECT_ERROR(Malformed, "a public key", refuse(type));
  EXPECT_ERROR(Malformed, "a certificate", refuse("CERTIFICATE"));
  EXPECT_ERROR(Malformed, "a PEM file", refuse("X509 CRL"));
}

TEST(ReportKind, IsNoKeyOrCertificateInDer) {
  EXPECT_ERROR(Malformed, "a public key", refuse_bare_key(spki(make_ec_key("P-256"))));
  EXPECT_ERROR(Malformed, "a public key", refuse_bare_key(spki(make_rsa_key(2048))));
  EXPECT_ERROR(Malformed, "a certificate", refuse_bare_key(TestCard().leaf.der()));
  EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST(ReportKind, IsThatOfAReport) {
  const Bytes report = TestCard().report();
  EXPECT_NO_THROW(refuse_bare_key(report));
  EXPECT_NO_THROW(refuse_other_kind(report));
  EXPECT_NO_THROW(require_report_form(report));
}

TEST(ReportKind, IsNoOtherFileOfOurs) {
  const Bytes request = encode_request({Bytes(16, 1),
                                        Bytes(32, 2),
                                        Bytes(16, 3),
                                        std::nullopt,
                                        qpcseal::testing::kTestNow,
                                        {SessionKeyType::P256}});
  for (const bool any_form : {false, true}) {
    EXPECT_ERROR(Malformed, "an attestation report", refuse_other_kind(from_hex("7ccda100"), any_form))
        << "a model";
    EXPECT_ERROR(Malformed, "a public key", refuse_other_kind(view(pem_of("PUBLIC KEY")), any_form));
  }
  EXPECT_ERROR(Malformed, "an attestation report", refuse_other_kind(request));
}

TEST(ReportKind, HasTheFormOfAScheme) {
  try {
    require_report_form(view("junk"));
    FAIL() << "taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Malformed);
    EXPECT_THAT(error.what(), ::testing::StartsWith("not an attestation report: "));
    EXPECT_FALSE(error.findings().empty());
  }
}

class CardShape : public ::testing::Test {
 protected:
  TestCard card;
  std::vector<std::string> found(ByteView report) {
    return ids(find_scheme("eat-card")->verify(report, card.context()).findings);
  }
};

TEST_F(CardShape, IsASignatureOf96Bytes) {
  const KeyPtr key = make_ec_key("P-256");
  EXPECT_THAT(found(make_sign1({61, 18}, cbor_map(card.protected_header), cbor_map({}), cbor_map(card.claims),
                               key.get())),
              ElementsAre("ATT-COSE", "ATT-SIGNATURE"));
}

TEST_F(CardShape, IsAChainOfOneToFive) {
  const Bytes leaf = card.leaf.der(), issuer = card.issuer.der();
  card.set_chain({leaf, issuer, issuer, issuer, issuer});
  EXPECT_THAT(found(card.report()), ::testing::Not(::testing::Contains("ATT-COSE")));
  card.set_chain({leaf, issuer, issuer, issuer, issuer, issuer});
  EXPECT_THAT(found(card.report()), ::testing::Contains("ATT-COSE"));
}

TEST_F(CardShape, IsALeafThatSignsAndIssuesNothing) {
  const auto with = [&](const qpcseal::testing::CertSpec& spec) {
    card.leaf = make_identity(spec, make_ec_key("P-384"), &card.issuer);
    card.set_chain({card.leaf.der(), card.issuer.der()});
    return found(card.report());
  };
  auto spec = card.leaf_spec();
  spec.basic_constraints.reset();
  EXPECT_THAT(with(spec), ::testing::Contains("ATT-LEAF-CA"));
  spec.basic_constraints = "critical,CA:TRUE";
  EXPECT_THAT(with(spec), ::testing::Contains("ATT-LEAF-CA"));
  spec = card.leaf_spec();
  spec.key_usage.reset();
  EXPECT_THAT(with(spec), ::testing::Contains("ATT-LEAF-USAGE"));
  spec.key_usage = "critical,keyAgreement";
  EXPECT_THAT(with(spec), ::testing::Contains("ATT-LEAF-USAGE"));
}

}  // namespace
}  // namespace qpcseal::attest
