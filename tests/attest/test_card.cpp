// SPDX-License-Identifier: Apache-2.0
#include "tests/attest/test_card.h"

#include "encoding/cbor.h"

namespace qpcseal::testing {

Bytes cbor_int(std::int64_t value) { return cbor::Writer().integer(value).take(); }
Bytes cbor_text(std::string_view value) { return cbor::Writer().text(value).take(); }
Bytes cbor_bytes(ByteView value) { return cbor::Writer().bytes(value).take(); }
Bytes cbor_bool(bool value) { return cbor::Writer().boolean(value).take(); }

Bytes cbor_array(const std::vector<Bytes>& items) {
  cbor::Writer writer;
  writer.array(items.size());
  for (const Bytes& item : items) writer.encoded(item);
  return writer.take();
}

Bytes cbor_map(const EncodedMap& map) {
  cbor::Writer writer;
  writer.map(map.size());
  for (const auto& [key, value] : map) writer.encoded(key).encoded(value);
  return writer.take();
}

Bytes encode_measurement(const attest::Measurement& m) {
  std::vector<Bytes> id = {cbor_text(m.name)};
  if (!m.version.empty()) id.push_back(cbor_array({cbor_text(m.version)}));
  EncodedMap component = {
      {cbor_int(1), cbor_array(id)},
      {cbor_int(2), cbor_array({cbor_int(m.algorithm == attest::DigestAlgorithm::Sha256 ? -16 : -43),
                                cbor_bytes(m.digest)})}};
  if (m.svn) component[cbor_int(-1)] = cbor::Writer().unsigned_(*m.svn).take();
  return cbor_array({cbor_int(65000), cbor_bytes(cbor_map(component))});
}

attest::Measurement sample_measurement(std::string name, std::uint8_t fill,
                                       std::optional<std::uint64_t> svn) {
  return {std::move(name), "1.0", attest::DigestAlgorithm::Sha384, Bytes(48, fill), svn};
}

EncodedMap cose_key(EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
    BIGNUM* raw = nullptr;
    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &raw);
    const NumberPtr n(made(raw, "RSA n"));
    Bytes modulus(static_cast<std::size_t>(BN_num_bytes(n.get())));
    BN_bn2bin(n.get(), modulus.data());
    return {{cbor_int(1), cbor_int(3)},
            {cbor_int(-1), cbor_bytes(modulus)},
            {cbor_int(-2), cbor_bytes(from_hex("010001"))}};
  }
  const Bytes point = point_of(key);
  const std::size_t field = point.size() / 2;
  return {{cbor_int(1), cbor_int(2)},
          {cbor_int(-1), cbor_int(field == 32   ? 1
                                  : field == 48 ? 2
                                                : 3)},
          {cbor_int(-2), cbor_bytes(ByteView(point).subspan(1, field))},
          {cbor_int(-3), cbor_bytes(ByteView(point).subspan(1 + field))}};
}

TestCard::TestCard()
    : session(make_ec_key("P-256")), ueid(from_hex("0102030405060708090a")), aud(16, 0xa1), nonce(32, 0xb2) {
  root = make_identity({.common_name = "Test root"}, make_ec_key("P-384"), nullptr);
  issuer = make_identity(issuer_spec(), make_ec_key("P-384"), &root);
  leaf = make_identity(leaf_spec(), make_ec_key("P-384"), &issuer);
  protected_header = {{cbor_int(1), cbor_int(-35)}, {cbor_int(3), cbor_int(263)}};
  set_chain({leaf.der(), issuer.der()});
  set(3, cbor_text(to_hex(aud)));
  set_session_key(session.get());
  set(10, cbor_bytes(nonce));
  set(256, cbor_bytes(ueid));
  set(258, cbor_int(4242));
  set(259, cbor_bytes(from_hex("c0de")));
  set(260, cbor_array({cbor_text("2.1")}));
  set(262, cbor_bool(true));
  set(263, cbor_int(3));
  set(265, cbor_text(attest::kEatCardProfile));
  set(268, cbor_bytes(Bytes(32, 0xc3)));
  set(273, cbor_array({encode_measurement(sample_measurement("boot", 0x11, 4)),
                       encode_measurement(sample_measurement("firmware", 0x22, 7))}));
  set(-75002, cbor_int(2));
}

CertSpec TestCard::leaf_spec() const {
  return {.common_name = "Test card",
          .serial_number = to_hex(ueid),
          .basic_constraints = "critical,CA:FALSE",
          .key_usage = "critical,digitalSignature"};
}

CertSpec TestCard::issuer_spec() {
  return {.common_name = "Test issuer", .basic_constraints = "critical,CA:TRUE,pathlen:0"};
}

void TestCard::set_session_key(EVP_PKEY* key) { set(8, cbor_map({{cbor_int(1), cbor_map(cose_key(key))}})); }

void TestCard::set_chain(const std::vector<Bytes>& chain) {
  std::vector<Bytes> items;
  for (const Bytes& der : chain) items.push_back(cbor_bytes(der));
  protected_header[cbor_int(33)] = cbor_array(items);
}

Bytes TestCard::report_of(ByteView payload) const {
  return make_sign1({61, 18}, cbor_map(protected_header), cbor_map({}), payload, leaf.key.get());
}

attest::VerifyContext TestCard::context() const {
  const Bytes der = root.der();
  return {kTestNow, {{der}, {sha256(der)}, {}}};
}

Bytes sign_raw(EVP_PKEY* key, ByteView bytes) {
  const int bits = EVP_PKEY_get_bits(key);
  const std::size_t field = (static_cast<std::size_t>(bits) + 7) / 8;
  const char* digest = bits == 256 ? "SHA256" : bits == 384 ? "SHA384" : "SHA512";
  const DigestContextPtr context(made(EVP_MD_CTX_new(), "EVP_MD_CTX_new"));
  EVP_DigestSignInit_ex(context.get(), nullptr, digest, nullptr, nullptr, key, nullptr);
  std::size_t size = 0;
  EVP_DigestSign(context.get(), nullptr, &size, bytes.data(), bytes.size());
  Bytes der(size);
  EVP_DigestSign(context.get(), der.data(), &size, bytes.data(), bytes.size());
  const unsigned char* at = der.data();
  const EcdsaSignaturePtr pair(made(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)), "d2i_ECDSA_SIG"));
  Bytes out(2 * field);
  BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), out.data(), static_cast<int>(field));
  BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), out.data() + field, static_cast<int>(field));
  return out;
}

Bytes make_sign1(const std::vector<std::uint64_t>& tags, ByteView protected_header, ByteView unprotected,
                 ByteView payload, EVP_PKEY* key, ByteView external_aad) {
  const Bytes to_sign = cbor_array(
      {cbor_text("Signature1"), cbor_bytes(protected_header), cbor_bytes(external_aad), cbor_bytes(payload)});
  cbor::Writer writer;
  for (const std::uint64_t tag : tags) writer.tag(tag);
  writer.encoded(cbor_array({cbor_bytes(protected_header), copy(unprotected), cbor_bytes(payload),
                             cbor_bytes(sign_raw(key, to_sign))}));
  return writer.take();
}

}  // namespace qpcseal::testing
