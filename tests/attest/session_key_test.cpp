// SPDX-License-Identifier: Apache-2.0
// Session keys that a token must never see: off their curve, compressed, small, of another kind, with a
// private half, or written in another form than the one.
#include "attest/session_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/attest/test_enclave.h"
#include "tests/base/expect_error.h"

namespace qpcseal::attest {
namespace {

using namespace qpcseal::testing;

SessionKey parse(const EncodedMap& members) {
  const Bytes encoded = cbor_map(members);
  return parse_session_key(cbor::parse(encoded, cbor::Level::Deterministic, "key"));
}

EncodedMap with(EncodedMap key, std::int64_t label, const Bytes& value) {
  key[cbor_int(label)] = value;
  return key;
}

EncodedMap without(EncodedMap key, std::int64_t label) {
  key.erase(cbor_int(label));
  return key;
}

class EcKeys : public ::testing::TestWithParam<const char*> {
 protected:
  KeyPtr key = make_ec_key(GetParam());
  EncodedMap members = cose_key(key.get());
  Bytes point = point_of(key.get());
  std::size_t field = point.size() / 2;
};
INSTANTIATE_TEST_SUITE_P(Curve, EcKeys, ::testing::Values("P-256", "P-384"));

TEST_P(EcKeys, AreReadFromBothForms) {
  const SessionKey read = parse(members);
  EXPECT_EQ(read.public_key, point);
  EXPECT_EQ(to_string(read.type), field == 32 ? "p256" : "p384");
  EXPECT_EQ(parse_session_spki(spki_of(key.get())), read);
  EXPECT_NO_THROW(check_session_key(read));
}

TEST_P(EcKeys, HaveTheirMembersAndNoOthers) {
  for (const std::int64_t label : {-1, -2, -3})
    EXPECT_ERROR(Malformed, "member " + std::to_string(label) + " is missing",
                 parse(without(members, label)));
  EXPECT_ERROR(Malformed, "key type is missing", parse(without(members, 1)));
  for (const std::int64_t label : {-4, 2, 3, 4, 5, -5})  // -4: the private half
    EXPECT_ERROR(Malformed, "does not belong there",
                 parse(with(members, label, cbor_bytes(Bytes(field, 1)))));
  EncodedMap named = members;
  named[cbor_text("d")] = cbor_bytes({});
  EXPECT_ERROR(Malformed, "label", parse(named));
}

TEST_P(EcKeys, AreOnTheirCurveInFull) {
  const Bytes y = copy(ByteView(point).subspan(1 + field)), x = copy(ByteView(point).subspan(1, field));
  for (std::size_t bit = 0; bit < field * 8; bit += 31) {
    Bytes wrong = y;
    wrong[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_ERROR(Malformed, "not on its curve", parse(with(members, -3, cbor_bytes(wrong))));
  }
  EXPECT_ERROR(Malformed, "not on its curve",
               parse(with(with(members, -2, cbor_bytes(Bytes(field, 0))), -3, cbor_bytes(Bytes(field, 0)))));
  EXPECT_ERROR(Malformed, "not on its curve", parse(with(members, -2, cbor_bytes(Bytes(field, 0xff)))));
  for (const std::int64_t label : {-2, -3}) {
    const Bytes& whole = label == -2 ? x : y;
    Bytes longer = {0};
    append(longer, whole);
    EXPECT_ERROR(Malformed, "field's size", parse(with(members, label, cbor_bytes(longer))));
    EXPECT_ERROR(Malformed, "field's size",
                 parse(with(members, label, cbor_bytes(ByteView(whole).first(field - 1)))));
    EXPECT_ERROR(Malformed, "field's size", parse(with(members, label, cbor_bytes({}))));
  }
  for (const bool sign : {false, true})
    EXPECT_ERROR(Malformed, "compressed", parse(with(members, -3, cbor_bool(sign))));
}

TEST_P(EcKeys, NameTheirCurve) {
  const std::int64_t other = field == 32 ? 2 : 1;
  EXPECT_ERROR(Malformed, "field's size", parse(with(members, -1, cbor_int(other))));
  for (const std::int64_t curve : {0, 3, 4, 6, 8, 256})
    EXPECT_ERROR(Malformed, "neither P-256 nor P-384", parse(with(members, -1, cbor_int(curve))));
  EXPECT_ERROR(Malformed, "crv", parse(with(members, -1, cbor_text("P-256"))));
  for (const std::int64_t kind : {0, 1, 4, 5})
    EXPECT_ERROR(Malformed, "neither EC2 nor RSA", parse(with(members, 1, cbor_int(kind))));
  EXPECT_ERROR(Malformed, "kty", parse(with(members, 1, cbor_text("EC2"))));
  EXPECT_ERROR(Malformed, "no map",
               parse_session_key(cbor::parse(from_hex("80"), cbor::Level::Deterministic, "key")));
}

TEST_P(EcKeys, ComeAsOneSpkiAndNothingMore) {
  Bytes der = spki_of(key.get());
  der.push_back(0);
  EXPECT_ERROR(Malformed, "one accepted form", parse_session_spki(der));
  der = spki_of(key.get());
  for (std::size_t size = 0; size < der.size(); ++size)
    EXPECT_ERROR(Malformed, "session key", parse_session_spki(ByteView(der).first(size)));
  der.back() ^= 1;  // of y
  EXPECT_ERROR(Malformed, "session key", parse_session_spki(der));
  EXPECT_ERROR(Malformed, "neither P-256",
               parse_session_spki(spki_of(make_explicit_ec_key(GetParam()).get())));
  const KeyPtr compressed = make_ec_key(GetParam());
  ASSERT_EQ(EVP_PKEY_set_utf8_string_param(compressed.get(), OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                           "compressed"),
            1);
  EXPECT_ERROR(Malformed, "not in uncompressed form", parse_session_spki(spki_of(compressed.get())));
}

TEST_P(EcKeys, AreCheckedHoweverTheyCame) {
  SessionKey read = parse(members);
  const auto as = [&](const Bytes& bytes) { check_session_key({read.type, bytes}); };
  Bytes wrong = point;
  wrong[0] = 6;  // SEC 1's hybrid form
  EXPECT_ERROR(Malformed, "not in uncompressed form", as(wrong));
  wrong = point;
  wrong.push_back(0);
  EXPECT_ERROR(Malformed, "not in uncompressed form", as(wrong));
  EXPECT_ERROR(Malformed, "not in uncompressed form", as(copy(ByteView(point).first(1 + field))));
  EXPECT_ERROR(Malformed, "not in uncompressed form", as({}));
  EXPECT_ERROR(Malformed, "not in uncompressed form", as({0}));  // the point at infinity
  wrong = point;
  wrong.back() ^= 1;
  EXPECT_ERROR(Malformed, "not on its curve", as(wrong));
}

// RSA keys are made once.
class RsaKeys : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { key = make_rsa_key(3072).release(); }
  static void TearDownTestSuite() { EVP_PKEY_free(key); }
  inline static EVP_PKEY* key = nullptr;

  EncodedMap members = cose_key(key);
  Bytes n = [] {
    BIGNUM* raw = nullptr;
    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &raw);
    const NumberPtr number(raw);
    Bytes out(static_cast<std::size_t>(BN_num_bytes(number.get())));
    BN_bn2bin(number.get(), out.data());
    return out;
  }();
  [[nodiscard]] SessionKey modulus(const Bytes& bytes) const {
    return parse(with(members, -1, cbor_bytes(bytes)));
  }
};

TEST_F(RsaKeys, AreReadFromBothForms) {
  const SessionKey read = parse(members);
  EXPECT_EQ(to_string(read.type), "rsa");
  EXPECT_EQ(read.public_key, spki_of(key));
  EXPECT_EQ(parse_session_spki(spki_of(key)), read);
  EXPECT_NO_THROW(check_session_key(read));
}

TEST_F(RsaKeys, HaveTheirMembersAndNoOthers) {
  for (const std::int64_t label : {-1, -2})
    EXPECT_ERROR(Malformed, "is missing", parse(without(members, label)));
  for (std::int64_t label = -12; label <= -3; ++label)  // the private half
    EXPECT_ERROR(Malformed, "does not belong there", parse(with(members, label, cbor_bytes(Bytes(9, 1)))));
  for (const char* e : {"03", "010003", "00010001", "", "01000100"})
    EXPECT_ERROR(Malformed, "e is not 65537", parse(with(members, -2, cbor_bytes(from_hex(e)))));
}

TEST_F(RsaKeys, HaveAModulusThatCouldBeOne) {
  Bytes longer = {0};
  append(longer, n);
  EXPECT_ERROR(Malformed, "leading zeros", modulus(longer));
  EXPECT_ERROR(Malformed, "leading zeros", modulus({}));
  Bytes even = n;
  even.back() &= 0xfe;
  EXPECT_ERROR(Malformed, "even", modulus(even));
  Bytes small = n;
  small[0] &= 0x7f;  // 3071 bits or fewer
  EXPECT_ERROR(Malformed, "not 3072 to 4096", modulus(small));
  Bytes large(513, 0xff);
  large[0] = 1;  // 4097 bits
  EXPECT_ERROR(Malformed, "4097 bits", modulus(large));
  Bytes threes(384, 0xff);  // 2^3072 - 1, divisible by 3
  EXPECT_ERROR(Malformed, "small factor", modulus(threes));
}

TEST_F(RsaKeys, AreOfTwoPrimesAndE65537AsSpkiToo) {
  const KeyContextPtr context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  const NumberPtr three(BN_new());
  BN_set_word(three.get(), 3);
  EVP_PKEY* raw = nullptr;
  ASSERT_EQ(EVP_PKEY_keygen_init(context.get()), 1);
  ASSERT_EQ(EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), 3072), 1);
  ASSERT_EQ(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context.get(), three.get()), 1);
  ASSERT_EQ(EVP_PKEY_generate(context.get(), &raw), 1);
  const KeyPtr odd(raw);
  EXPECT_ERROR(Malformed, "e is not 65537", parse_session_spki(spki_of(odd.get())));
  const KeyPtr small = make_rsa_key(2048);
  EXPECT_ERROR(Malformed, "2048 bits", parse_session_spki(spki_of(small.get())));
  EXPECT_ERROR(Malformed, "2048 bits", check_session_key({SessionKeyType::Rsa, spki_of(small.get())}));
  const KeyPtr edwards(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  EXPECT_ERROR(Malformed, "nor RSA", parse_session_spki(spki_of(edwards.get())));
  EXPECT_ERROR(Malformed, "no RSA public key",
               check_session_key({SessionKeyType::Rsa, spki_of(make_ec_key("P-256").get())}));
  EXPECT_ERROR(Malformed, "unknown type", check_session_key({static_cast<SessionKeyType>(9), spki_of(key)}));
}

TEST(SessionKeyNames, AreThree) {
  for (const char* name : {"p256", "p384", "rsa"}) EXPECT_EQ(to_string(session_key_type(name).value()), name);
  for (const char* name : {"", "P256", "p521", "p256 "}) EXPECT_FALSE(session_key_type(name)) << name;
}

}  // namespace
}  // namespace qpcseal::attest
