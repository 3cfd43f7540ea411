// SPDX-License-Identifier: Apache-2.0
#include "attest/session_key.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/openssl.h"

namespace qpcseal::attest {
namespace {

constexpr std::int64_t kKeyType = 1;
constexpr std::uint64_t kEc2 = 2, kRsa = 3;
constexpr std::int64_t kFirst = -1, kSecond = -2, kThird = -3;  // EC2: crv, x, y; RSA: n, e
constexpr int kRsaMinBits = 3072, kRsaMaxBits = 4096;

struct CurveRow {
  SessionKeyType type;
  std::uint64_t cose;  // RFC 9053 section 7.1
  const char* group;
  std::size_t field;  // bytes
};
constexpr std::array kCurves = {CurveRow{SessionKeyType::P256, 1, SN_X9_62_prime256v1, 32},
                                CurveRow{SessionKeyType::P384, 2, SN_secp384r1, 48}};

struct NameRow {
  SessionKeyType type;
  std::string_view name;
};
constexpr std::array kNames = {NameRow{SessionKeyType::P256, "p256"}, NameRow{SessionKeyType::P384, "p384"},
                               NameRow{SessionKeyType::Rsa, "rsa"}};

[[noreturn]] void refuse_key(const std::string& why) {
  throw Error(ErrorKind::Malformed, "session key: " + why);
}

// Also how a private member (-4 for EC2, -3 to -12 for RSA) is refused: nothing but what is named may be
// there.
void expect_members(const cbor::Value& key, std::initializer_list<std::int64_t> labels) {
  for (const std::int64_t label : labels) {
    if (key.find(label) == nullptr) refuse_key("member " + std::to_string(label) + " is missing");
  }
  for (const auto& [label, value] : key.as_map("session key")) {
    const std::int64_t number = label.as_int("session key: label");
    if (std::find(labels.begin(), labels.end(), number) == labels.end()) {
      refuse_key("member " + std::to_string(number) + " does not belong there");
    }
  }
}

KeyPtr from_parameters(const char* algorithm, OSSL_PARAM* parameters) {
  const KeyContextPtr context(
      made(EVP_PKEY_CTX_new_from_name(nullptr, algorithm, nullptr), "EVP_PKEY_CTX_new"));
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1)
    throw Error(ErrorKind::Internal, "EVP_PKEY_fromdata_init failed");
  if (EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) key = nullptr;
  ERR_clear_error();
  return KeyPtr(key);
}

// `check` is EVP_PKEY_public_check; or, for curves of cofactor 1 like ours, EVP_PKEY_public_check_quick:
// every point on such a curve but infinity has the group's order, which the other check shows by a
// multiplication.
bool passes(EVP_PKEY* key, int (*check)(EVP_PKEY_CTX*)) {
  const KeyContextPtr context(made(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr), "EVP_PKEY_CTX_new"));
  const bool good = check(context.get()) == 1;
  ERR_clear_error();
  return good;
}

void check_point(const CurveRow& curve, ByteView point) {
  if (point.size() != 1 + 2 * curve.field || point[0] != 0x04)
    refuse_key("the point is not in uncompressed form");
  const ParamBuilderPtr builder(made(OSSL_PARAM_BLD_new(), "OSSL_PARAM_BLD_new"));
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.group, 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  const ParamsPtr parameters(made(OSSL_PARAM_BLD_to_param(builder.get()), "OSSL_PARAM_BLD_to_param"));
  const KeyPtr key = from_parameters("EC", parameters.get());
  if (!key || !passes(key.get(), EVP_PKEY_public_check_quick)) refuse_key("the point is not on its curve");
}

void check_modulus(ByteView modulus) {
  if (modulus.empty() || modulus.front() == 0) refuse_key("n has leading zeros");
  const NumberPtr n(made(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr), "BN_bin2bn"));
  const int bits = BN_num_bits(n.get());
  if (bits < kRsaMinBits || bits > kRsaMaxBits)
    refuse_key("RSA of " + std::to_string(bits) + " bits, not 3072 to 4096");
  if (BN_is_odd(n.get()) != 1) refuse_key("n is even");
}

Bytes to_spki(EVP_PKEY* key) {
  const int size = i2d_PUBKEY(key, nullptr);
  if (size <= 0) throw Error(ErrorKind::Internal, "i2d_PUBKEY failed");
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* out = der.data();
  i2d_PUBKEY(key, &out);
  return der;
}

Bytes rsa_spki(ByteView modulus) {
  check_modulus(modulus);
  const NumberPtr n(made(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr), "BN_bin2bn"));
  const ParamBuilderPtr builder(made(OSSL_PARAM_BLD_new(), "OSSL_PARAM_BLD_new"));
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_uint64(builder.get(), OSSL_PKEY_PARAM_RSA_E, RSA_F4);
  const ParamsPtr parameters(made(OSSL_PARAM_BLD_to_param(builder.get()), "OSSL_PARAM_BLD_to_param"));
  const KeyPtr key = from_parameters("RSA", parameters.get());
  if (!key || !passes(key.get(), EVP_PKEY_public_check)) refuse_key("n is prime or has a small factor");
  return to_spki(key.get());
}

SessionKey parse_ec(const cbor::Value& key) {
  expect_members(key, {kKeyType, kFirst, kSecond, kThird});
  const std::uint64_t cose = key.find(kFirst)->as_unsigned("session key: crv");
  const auto* curve =
      std::find_if(kCurves.begin(), kCurves.end(), [&](const CurveRow& row) { return row.cose == cose; });
  if (curve == kCurves.end()) refuse_key("curve " + std::to_string(cose) + " is neither P-256 nor P-384");
  if (key.find(kThird)->is(cbor::Type::Bool)) refuse_key("compressed points are not accepted");
  const ByteView x = key.find(kSecond)->as_bytes("session key: x");
  const ByteView y = key.find(kThird)->as_bytes("session key: y");
  if (x.size() != curve->field || y.size() != curve->field)
    refuse_key("a coordinate does not have the field's size");
  SessionKey out{curve->type, {0x04}};
  append(out.public_key, x);
  append(out.public_key, y);
  check_point(*curve, out.public_key);
  return out;
}

SessionKey parse_rsa(const cbor::Value& key) {
  constexpr std::array<std::uint8_t, 3> exponent = {0x01, 0x00, 0x01};
  expect_members(key, {kKeyType, kFirst, kSecond});
  if (!equal(key.find(kSecond)->as_bytes("session key: e"), exponent)) refuse_key("e is not 65537");
  return {SessionKeyType::Rsa, rsa_spki(key.find(kFirst)->as_bytes("session key: n"))};
}

KeyPtr decode_spki(ByteView der) {
  const unsigned char* at = der.data();
  KeyPtr key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!key) refuse_key("no SubjectPublicKeyInfo");
  if (to_spki(key.get()) != copy(der)) refuse_key("the SubjectPublicKeyInfo is not in its one accepted form");
  return key;
}

void check_rsa_spki(ByteView spki) {
  const KeyPtr key = decode_spki(spki);
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_RSA_N, &raw) != 1) refuse_key("no RSA public key");
  const NumberPtr n(raw);
  Bytes modulus(static_cast<std::size_t>(BN_num_bytes(n.get())));
  BN_bn2bin(n.get(), modulus.data());
  if (rsa_spki(modulus) != copy(spki)) refuse_key("e is not 65537, or the key is no plain RSA key");
}

Bytes point_of(const EVP_PKEY* key, std::size_t size) {
  Bytes point(size);
  std::size_t written = 0;
  if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point.data(), size, &written) != 1 ||
      written != size) {
    ERR_clear_error();
    refuse_key("the point is not in uncompressed form");
  }
  return point;
}

}  // namespace

std::string_view to_string(SessionKeyType type) {
  return std::find_if(kNames.begin(), kNames.end(), [&](const NameRow& row) { return row.type == type; })
      ->name;
}

std::optional<SessionKeyType> session_key_type(std::string_view name) {
  for (const NameRow& row : kNames) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

SessionKey parse_session_key(const cbor::Value& cose_key) {
  if (!cose_key.is(cbor::Type::Map)) refuse_key("no map");
  const cbor::Value* type = cose_key.find(kKeyType);
  if (type == nullptr) refuse_key("the key type is missing");
  const std::uint64_t number = type->as_unsigned("session key: kty");
  if (number == kEc2) return parse_ec(cose_key);
  if (number == kRsa) return parse_rsa(cose_key);
  refuse_key("key type " + std::to_string(number) + " is neither EC2 nor RSA");
}

SessionKey parse_session_spki(ByteView der) {
  const KeyPtr key = decode_spki(der);
  const std::string group = curve_name(key.get());
  for (const CurveRow& curve : kCurves) {
    if (group != curve.group) continue;
    SessionKey out{curve.type, point_of(key.get(), 1 + 2 * curve.field)};
    check_point(curve, out.public_key);
    return out;
  }
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) refuse_key("neither P-256, nor P-384, nor RSA");
  check_rsa_spki(der);
  return {SessionKeyType::Rsa, copy(der)};
}

void check_session_key(const SessionKey& key) {
  if (key.type == SessionKeyType::Rsa) return check_rsa_spki(key.public_key);
  for (const CurveRow& curve : kCurves) {
    if (curve.type == key.type) return check_point(curve, key.public_key);
  }
  refuse_key("unknown type");
}

}  // namespace qpcseal::attest
