// SPDX-License-Identifier: Apache-2.0
// COSE_Sign1 in each shape that a profile does not name, and signatures by keys that do not suit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attest/cose.h"
#include "tests/attest/test_card.h"
#include "tests/base/expect_error.h"

namespace qpcseal::attest {
namespace {

using namespace qpcseal::testing;

class Sign1Shape : public ::testing::Test {
 protected:
  CoseProfile profile;
  Bytes header = cbor_map({{cbor_int(1), cbor_int(-35)}}), none = cbor_map({}),
        payload = cbor_bytes(Bytes(3, 7)), signature = cbor_bytes(Bytes(96, 9));

  Sign1Shape() {
    profile.algorithms = {CoseAlgorithm::Es384};
    profile.protected_labels = {1, 3, 33};
    profile.unprotected_labels = {4};
  }
  static Bytes tagged(const std::vector<std::uint64_t>& tags, const Bytes& inner) {
    cbor::Writer writer;
    for (const std::uint64_t tag : tags) writer.tag(tag);
    return writer.encoded(inner).take();
  }
  [[nodiscard]] Bytes parts() const { return cbor_array({cbor_bytes(header), none, payload, signature}); }
  // Views into bytes that are gone say nothing; whether it parses is what counts here.
  void parse(const Bytes& message) const { static_cast<void>(parse_sign1(message, profile)); }
  void with_header(const EncodedMap& members) const {
    parse(tagged({18}, cbor_array({cbor_bytes(cbor_map(members)), none, payload, signature})));
  }
};

TEST_F(Sign1Shape, HasTheTagsOfTheProfile) {
  EXPECT_NO_THROW(parse(tagged({18}, parts())));
  EXPECT_ERROR(Malformed, "tag 18 is missing", parse(parts()));
  EXPECT_ERROR(Malformed, "tag 18 is missing", parse(tagged({98}, parts())));
  EXPECT_ERROR(Malformed, "unexpected CBOR tag 18", parse(tagged({18, 18}, parts())));
  profile.tags = {61, 18};
  EXPECT_NO_THROW(parse(tagged({61, 18}, parts())));
  EXPECT_ERROR(Malformed, "tag 61 is missing", parse(tagged({18}, parts())));
  EXPECT_ERROR(Malformed, "tag 18 is missing", parse(tagged({61}, parts())));
  profile.tags = {};
  EXPECT_NO_THROW(parse(parts()));
  EXPECT_ERROR(Malformed, "unexpected CBOR tag 18", parse(tagged({18}, parts())));
}

TEST_F(Sign1Shape, HasFourPartsOfTheirTypes) {
  const Bytes head = cbor_bytes(header);
  const std::pair<std::vector<Bytes>, const char*> wrong[] = {
      {{head, none, payload}, "4 elements, found 3"},
      {{head, none, payload, signature, signature}, "4 elements, found 5"},
      {{head, none, from_hex("f6"), signature}, "detached"},
      {{head, none, cbor_text("x"), signature}, "detached"},
      {{header, none, payload, signature}, "protected header"},
      {{head, head, payload, signature}, "unprotected header"},
      {{head, none, payload, cbor_text("x")}, "signature"},
      {{cbor_bytes({}), none, payload, signature}, "protected header"}};
  for (const auto& [items, says] : wrong)
    EXPECT_ERROR(Malformed, says, parse(tagged({18}, cbor_array(items))));
  EXPECT_ERROR(Malformed, "COSE_Sign1", parse(tagged({18}, none)));
}

TEST_F(Sign1Shape, HasTheHeadersOfTheProfile) {
  const Bytes alg = cbor_int(-35);
  EXPECT_NO_THROW(with_header({{cbor_int(1), alg}, {cbor_int(3), cbor_int(263)}}));
  EXPECT_ERROR(Malformed, "names no algorithm", with_header({{cbor_int(3), cbor_int(263)}}));
  EXPECT_ERROR(Malformed, "alg", with_header({{cbor_int(1), cbor_text("ES384")}}));
  EXPECT_ERROR(Malformed, "algorithm -7 is not accepted", with_header({{cbor_int(1), cbor_int(-7)}}));
  EXPECT_ERROR(Malformed, "crit",
               with_header({{cbor_int(1), alg}, {cbor_int(2), cbor_array({cbor_int(1)})}}));
  EXPECT_ERROR(Malformed, "text label", with_header({{cbor_int(1), alg}, {cbor_text("x"), alg}}));
  EXPECT_ERROR(Malformed, "unexpected label 4",
               with_header({{cbor_int(1), alg}, {cbor_int(4), cbor_bytes({})}}));
  EXPECT_ERROR(Malformed, "x5chain is empty",
               with_header({{cbor_int(1), alg}, {cbor_int(33), cbor_array({})}}));
  EXPECT_ERROR(Malformed, "x5chain", with_header({{cbor_int(1), alg}, {cbor_int(33), cbor_text("x")}}));
  EXPECT_ERROR(Malformed, "x5chain",
               with_header({{cbor_int(1), alg}, {cbor_int(33), cbor_array({cbor_text("x")})}}));
  profile.protected_labels.push_back(2);
  EXPECT_ERROR(Malformed, "crit",
               with_header({{cbor_int(1), alg}, {cbor_int(2), cbor_array({cbor_int(1)})}}));
}

TEST_F(Sign1Shape, ReadsOneCertificateOrSeveral) {
  const auto chain = [&](const Bytes& value) {
    const Bytes message =
        tagged({18}, cbor_array({cbor_bytes(cbor_map({{cbor_int(1), cbor_int(-35)}, {cbor_int(33), value}})),
                                 none, payload, signature}));
    std::vector<Bytes> out;
    for (const ByteView der : parse_sign1(message, profile).x5chain) out.push_back(copy(der));
    return out;
  };
  EXPECT_EQ(chain(cbor_bytes(Bytes(2, 1))), (std::vector<Bytes>{Bytes(2, 1)}));
  EXPECT_EQ(chain(cbor_array({cbor_bytes(Bytes(2, 1)), cbor_bytes(Bytes(1, 2))})),
            (std::vector<Bytes>{Bytes(2, 1), Bytes(1, 2)}));
  const Bytes text = tagged(
      {18}, cbor_array({cbor_bytes(cbor_map({{cbor_int(1), cbor_int(-35)}, {cbor_int(3), cbor_text("a/b")}})),
                        none, payload, signature}));
  EXPECT_FALSE(parse_sign1(text, profile).content_type);
}

// By a key of the right curve and in full size, or not at all.
TEST(Sign1Signature, IsOfTheAlgorithmsKeyAndSize) {
  const KeyPtr p384 = make_ec_key("P-384"), other = make_ec_key("P-384"), p256 = make_ec_key("P-256");
  const Bytes message =
      make_sign1({18}, cbor_map({{cbor_int(1), cbor_int(-35)}}), cbor_map({}), view("x"), p384.get());
  CoseProfile profile;
  profile.algorithms = {CoseAlgorithm::Es384, CoseAlgorithm::Ps256};
  const Sign1 good = parse_sign1(message, profile);
  EXPECT_TRUE(verify_sign1(good, p384.get()));
  EXPECT_FALSE(verify_sign1(good, p384.get(), view("external")));
  EXPECT_FALSE(verify_sign1(good, other.get()));
  EXPECT_FALSE(verify_sign1(good, p256.get()));
  EXPECT_FALSE(verify_sign1(good, nullptr));
  EXPECT_FALSE(verify_sign1(good, make_explicit_ec_key("P-384").get()));
  Bytes longer = copy(good.signature);
  longer.push_back(0);
  Sign1 wrong = good;
  for (const ByteView size : {ByteView(), good.signature.first(95), ByteView(longer)}) {
    wrong.signature = size;
    EXPECT_FALSE(verify_sign1(wrong, p384.get()));
  }
  const Bytes zeros(96, 0);
  wrong.signature = zeros;
  EXPECT_FALSE(verify_sign1(wrong, p384.get()));
  wrong = good;
  wrong.algorithm = CoseAlgorithm::Ps256;
  EXPECT_FALSE(verify_sign1(wrong, p384.get()));
}

TEST(Sign1Signature, OfRsaHasAKeyOfSizeAndASaltOfTheDigests) {
  const Bytes header = cbor_map({{cbor_int(1), cbor_int(-37)}});
  const auto sign = [&](EVP_PKEY* key, int salt) {
    const Bytes to_sign =
        cbor_array({cbor_text("Signature1"), cbor_bytes(header), cbor_bytes({}), cbor_bytes(view("x"))});
    const DigestContextPtr context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* parameters = nullptr;
    EXPECT_EQ(EVP_DigestSignInit(context.get(), &parameters, EVP_sha256(), nullptr, key), 1);
    EXPECT_EQ(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING), 1);
    EXPECT_EQ(EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, salt), 1);
    Bytes out(static_cast<std::size_t>(EVP_PKEY_get_size(key)));
    std::size_t size = out.size();
    EXPECT_EQ(EVP_DigestSign(context.get(), out.data(), &size, to_sign.data(), to_sign.size()), 1);
    return out;
  };
  const auto verifies = [&](EVP_PKEY* key, const Bytes& signature) {
    Sign1 message;
    const Bytes payload = copy(view("x"));
    message.protected_header = header;
    message.payload = payload;
    message.signature = signature;
    message.algorithm = CoseAlgorithm::Ps256;
    return verify_sign1(message, key);
  };
  const KeyPtr good = make_rsa_key(2048), small = make_rsa_key(1024);
  EXPECT_TRUE(verifies(good.get(), sign(good.get(), RSA_PSS_SALTLEN_DIGEST)));
  EXPECT_FALSE(verifies(good.get(), sign(good.get(), 20)));
  EXPECT_FALSE(verifies(small.get(), sign(small.get(), RSA_PSS_SALTLEN_DIGEST)));
  Bytes longer = sign(good.get(), RSA_PSS_SALTLEN_DIGEST);
  longer.insert(longer.begin(), 0);
  EXPECT_FALSE(verifies(good.get(), longer));
}

}  // namespace
}  // namespace qpcseal::attest
