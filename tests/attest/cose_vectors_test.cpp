// SPDX-License-Identifier: Apache-2.0
// COSE_Sign1 against published vectors: each row of their manifest gets the verdict it names, under one
// strict profile: tag 18, the algorithm in the protected header, no fix-ups.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "attest/cose.h"
#include "base/error.h"
#include "encoding/cbor.h"
#include "tests/attest/test_card.h"
#include "tests/attest/vectors.h"
#include "tests/base/expect_error.h"

namespace qpcseal::attest {
namespace {

using Json = nlohmann::json;
using qpcseal::testing::read_vector;
using qpcseal::testing::vector_rows;
using qpcseal::testing::VectorRow;
using qpcseal::testing::vectors_folder;

enum class Verdict {
  Accept,
  Malformed,     // does not even parse under the profile
  BadSignature,  // parses; the signature, or the key for it, is wrong
  NotAMessage    // a key or a certificate that belongs to another row
};

struct Case {
  Verdict verdict;
  const char* says;  // what the manifest's words must contain, so that table and manifest cannot part
};
const std::map<std::string, Case> kCases = {
    {"cose-wg/CWT/A_3.json", {Verdict::Accept, "A_3 = Sign1 accept"}},
    {"cose-wg/CWT/A_4.json", {Verdict::Malformed, "A_4,A_7 = Mac0 tag 17"}},
    {"cose-wg/CWT/A_5.json", {Verdict::Malformed, "A_5,A_6 = Encrypt0 tag 16: reject"}},
    {"cose-wg/CWT/A_6.json", {Verdict::Malformed, "A_5,A_6 = Encrypt0 tag 16: reject"}},
    {"cose-wg/CWT/A_7.json", {Verdict::Malformed, "A_4,A_7 = Mac0 tag 17"}},
    {"cose-wg/ecdsa-examples/ecdsa-sig-01.json", {Verdict::Accept, "accept ES256"}},
    {"cose-wg/ecdsa-examples/ecdsa-sig-02.json", {Verdict::Accept, "accept ES384"}},
    {"cose-wg/ecdsa-examples/ecdsa-sig-03.json", {Verdict::Accept, "accept ES512"}},
    {"cose-wg/ecdsa-examples/ecdsa-sig-04.json", {Verdict::BadSignature, "ES512 over P-256: reject"}},
    {"cose-wg/sign1-tests/sign-fail-01.json", {Verdict::Malformed, "reject (CBOR tag 998"}},
    {"cose-wg/sign1-tests/sign-fail-02.json", {Verdict::BadSignature, "reject (bad signature)"}},
    {"cose-wg/sign1-tests/sign-fail-03.json", {Verdict::Malformed, "reject (alg -999)"}},
    {"cose-wg/sign1-tests/sign-fail-04.json", {Verdict::Malformed, "reject (alg text"}},
    {"cose-wg/sign1-tests/sign-fail-06.json", {Verdict::BadSignature, "reject (bad signature: protected"}},
    {"cose-wg/sign1-tests/sign-fail-07.json", {Verdict::BadSignature, "reject (bad signature: protected"}},
    {"cose-wg/sign1-tests/sign-pass-01.json", {Verdict::Malformed, "REJECT under our profile"}},
    {"cose-wg/sign1-tests/sign-pass-02.json", {Verdict::Accept, "accept only when external_aad"}},
    {"cose-wg/sign1-tests/sign-pass-03.json", {Verdict::Malformed, "reject under our profile (tag 18"}},
    {"cose-wg/x509-examples/alice.der", {Verdict::NotAMessage, "EE cert"}},
    {"cose-wg/x509-examples/ca.der", {Verdict::NotAMessage, "trust anchor"}},
    {"cose-wg/x509-examples/signed-01.json", {Verdict::Malformed, "reject as Sign1"}},
    {"cose-wg/x509-examples/signed-02.json", {Verdict::Malformed, "reject as Sign1"}},
    {"cose-wg/x509-examples/signed-03.json", {Verdict::Malformed, "reject as Sign1"}},
    {"cose-wg/x509-examples/signed-04.json", {Verdict::Malformed, "reject as Sign1"}},
    {"cose-wg/x509-examples/signed-05.json", {Verdict::Malformed, "reject as Sign1"}},
    {"gluecose/sign1-sign-0002.json", {Verdict::Accept, "accept"}},
    {"gluecose/sign1-verify-0000.json", {Verdict::Accept, "accept"}},
    {"gluecose/sign1-verify-0001.json", {Verdict::Accept, "accept"}},
    {"gluecose/sign1-verify-0002.json", {Verdict::Accept, "accept"}},
    {"gluecose/sign1-verify-0003.json", {Verdict::Accept, "accept"}},
    {"gluecose/sign1-verify-0004.json", {Verdict::Accept, "accept"}},
    {"gluecose/sign1-verify-0005.json", {Verdict::Accept, "accept"}},
    {"gluecose/sign1-verify-0006.json", {Verdict::Accept, "accept"}},
    {"psa-rfc9783/psa-sign1.cbor", {Verdict::Accept, "accept ES256"}},
    {"psa-rfc9783/tfm-es-iak.json", {Verdict::NotAMessage, "verification key"}},
};

Bytes from_base64url(const std::string& text) {
  Bytes out;
  unsigned bits = 0, count = 0;
  for (const char c : text) {
    const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    bits = (bits << 6U) | static_cast<unsigned>(alphabet.find(c));
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<std::uint8_t>((bits >> count) & 0xffU));
  }
  return out;
}

// A member of a JSON key, in base64url or, as `name_hex`, in hex.
Bytes key_member(const Json& key, const std::string& name) {
  const auto hex = key.find(name + "_hex");
  return hex != key.end() ? from_hex(hex->get<std::string>()) : from_base64url(key.at(name));
}

KeyPtr make_key(const char* algorithm, OSSL_PARAM_BLD* builder) {
  const ParamsPtr parameters(OSSL_PARAM_BLD_to_param(builder));
  const KeyContextPtr context(EVP_PKEY_CTX_new_from_name(nullptr, algorithm, nullptr));
  EVP_PKEY* key = nullptr;
  EVP_PKEY_fromdata_init(context.get());
  EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get());
  return KeyPtr(made(key, "EVP_PKEY_fromdata"));
}

KeyPtr key_of(const Json& key) {
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  if (key.contains("n")) {
    const Bytes n = key_member(key, "n"), e = key_member(key, "e");
    const NumberPtr modulus(BN_bin2bn(n.data(), static_cast<int>(n.size()), nullptr));
    const NumberPtr exponent(BN_bin2bn(e.data(), static_cast<int>(e.size()), nullptr));
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
    return make_key("RSA", builder.get());
  }
  Bytes point = {0x04};
  append(point, key_member(key, "x"));
  append(point, key_member(key, "y"));
  const std::string curve = key.at("crv");
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.c_str(), 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  return make_key("EC", builder.get());
}

struct Vector {
  Bytes message, external;
  Bytes to_be_signed;  // empty where the vector does not give it
  KeyPtr key;          // null where the vector has none for a Sign1
};

Vector gluecose(const Json& json) {
  Vector out;
  out.key = key_of(json.at("key"));
  if (json.contains("sign1::sign")) {
    const Json& sign = json.at("sign1::sign");
    out.message = from_hex(sign.at("expectedOutput").at("cborHex").get<std::string>());
    out.to_be_signed = from_hex(sign.at("tbsHex").at("cborHex").get<std::string>());
    return out;
  }
  const Json& verify = json.at("sign1::verify");
  EXPECT_TRUE(verify.at("shouldVerify").get<bool>());
  out.message = from_hex(verify.at("taggedCOSESign1").at("cborHex").get<std::string>());
  out.external = from_hex(verify.value("external", ""));
  return out;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

Vector cose_wg(const Json& json) {
  Vector out;
  out.message = from_hex(lower(json.at("output").at("cbor").get<std::string>()));
  if (!json.at("input").contains("sign0")) return out;
  const Json& sign = json.at("input").at("sign0");
  out.key = key_of(sign.at("key"));
  out.external = from_hex(sign.value("external", ""));
  return out;
}

Vector load(const std::filesystem::path& dir, const std::string& file) {
  const Bytes bytes = read_vector(dir, file);
  if (file.starts_with("psa-")) {
    const Bytes key = read_vector(dir, "psa-rfc9783/tfm-es-iak.json");
    return {bytes, {}, {}, key_of(Json::parse(text_view(key)))};
  }
  const Json json = Json::parse(text_view(bytes));
  return file.starts_with("gluecose/") ? gluecose(json) : cose_wg(json);
}

CoseProfile strict() {
  CoseProfile out;
  out.level = cbor::Level::Deterministic;
  out.algorithms = {CoseAlgorithm::Es256, CoseAlgorithm::Es384, CoseAlgorithm::Es512,
                    CoseAlgorithm::Ps256, CoseAlgorithm::Ps384, CoseAlgorithm::Ps512};
  out.protected_labels = {1, 3};
  out.unprotected_labels = {4};
  return out;
}

Verdict judge(const Vector& vector, ByteView external) {
  try {
    const Sign1 message = parse_sign1(vector.message, strict());
    if (!vector.to_be_signed.empty()) {
      EXPECT_EQ(sig_structure(message, external), vector.to_be_signed);
    }
    return verify_sign1(message, vector.key.get(), external) ? Verdict::Accept : Verdict::BadSignature;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Malformed) << error.what();
    return Verdict::Malformed;
  }
}

void check_row(const std::filesystem::path& dir, const VectorRow& row, std::map<Verdict, int>& counts) {
  SCOPED_TRACE(row.file);
  const auto found = kCases.find(row.file);
  ASSERT_NE(found, kCases.end()) << "this row of the manifest is in no table";
  EXPECT_THAT(row.expected, ::testing::HasSubstr(found->second.says));
  ++counts[found->second.verdict];
  if (found->second.verdict == Verdict::NotAMessage) return;
  const Vector vector = load(dir, row.file);
  EXPECT_EQ(judge(vector, vector.external), found->second.verdict);
  if (!vector.external.empty()) {
    EXPECT_EQ(judge(vector, {}), Verdict::BadSignature) << "without the external data";
  }
}

TEST(CoseVectors, EachRowOfTheManifestGetsItsVerdict) {
  const auto dir = vectors_folder();
  if (!dir) GTEST_SKIP() << "QPCSEAL_VECTORS is not set";
  std::size_t rows = 0;
  std::map<Verdict, int> counts;
  for (const char* prefix : {"cose-wg/", "gluecose/", "psa-"}) {
    for (const VectorRow& row : vector_rows(*dir, prefix)) {
      check_row(*dir, row, counts);
      ++rows;
    }
  }
  EXPECT_EQ(rows, kCases.size());
  std::cout << rows << " rows: " << counts[Verdict::Accept] << " accepted, " << counts[Verdict::Malformed]
            << " malformed, " << counts[Verdict::BadSignature] << " with a bad signature, "
            << counts[Verdict::NotAMessage] << " keys and certificates of other rows\n";
}

// Also where a profile lets the unprotected header name one.
TEST(Cose, TheAlgorithmIsTheProtectedHeadersAlone) {
  using namespace qpcseal::testing;
  const KeyPtr key = make_ec_key("P-384");
  const Bytes algorithm = cbor_map({{cbor_int(1), cbor_int(-35)}}), none = cbor_map({});
  CoseProfile profile = strict();
  profile.unprotected_labels = {1, 4};
  const auto made = [&](const Bytes& header, const Bytes& open) {
    return make_sign1({18}, header, open, view("payload"), key.get());
  };
  const Bytes good = made(algorithm, none);
  EXPECT_TRUE(verify_sign1(parse_sign1(good, profile), key.get()));
  EXPECT_ERROR(Malformed, "names no algorithm", parse_sign1(made(none, algorithm), profile));
  EXPECT_ERROR(Malformed, "both headers", parse_sign1(made(algorithm, algorithm), profile));
}

}  // namespace
}  // namespace qpcseal::attest
