// SPDX-License-Identifier: Apache-2.0
#include "device/card/keys.h"

#include "encoding/cbor.h"

namespace qpcseal::device {
namespace {

using BioPtr = Owned<BIO, BIO_free_all>;

constexpr std::size_t kMaxPem = 16384;
constexpr std::size_t kP384Field = 48;

BioPtr reader(ByteView bytes) {
  return BioPtr(made(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())), "BIO_new_mem_buf"));
}

Bytes point_of(EVP_PKEY* key) {
  std::size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, nullptr, 0, &size) != 1)
    throw Error(ErrorKind::Internal, "reading a public point failed");
  Bytes point(size);
  if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point.data(), size, &size) != 1)
    throw Error(ErrorKind::Internal, "reading a public point failed");
  return point;
}

Bytes modulus_of(EVP_PKEY* key) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &raw) != 1)
    throw Error(ErrorKind::Internal, "reading an RSA modulus failed");
  const NumberPtr n(raw);
  Bytes modulus(static_cast<std::size_t>(BN_num_bytes(n.get())));
  BN_bn2bin(n.get(), modulus.data());
  return modulus;
}

Bytes spki_of(EVP_PKEY* key) {
  const int size = i2d_PUBKEY(key, nullptr);
  if (size <= 0) throw Error(ErrorKind::Internal, "i2d_PUBKEY failed");
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* out = der.data();
  i2d_PUBKEY(key, &out);
  return der;
}

bool is_rsa(const EVP_PKEY* key) { return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA; }

Bytes fixed_width(const Bytes& der_signature) {
  const unsigned char* at = der_signature.data();
  const EcdsaSignaturePtr pair(
      made(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der_signature.size())), "d2i_ECDSA_SIG"));
  Bytes out(2 * kP384Field);
  BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), out.data(), static_cast<int>(kP384Field));
  BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), out.data() + kP384Field, static_cast<int>(kP384Field));
  return out;
}

}  // namespace

KeyPtr make_ec_key(const char* curve) {
  return KeyPtr(made(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve), "EC key generation"));
}

KeyPtr make_rsa_key(unsigned bits) {
  return KeyPtr(made(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{bits}), "RSA key generation"));
}

KeyPtr make_session_key(attest::SessionKeyType type) {
  switch (type) {
    case attest::SessionKeyType::P256:
      return make_ec_key("P-256");
    case attest::SessionKeyType::P384:
      return make_ec_key("P-384");
    case attest::SessionKeyType::Rsa:
      return make_rsa_key(kRsaBits);
  }
  throw Error(ErrorKind::Internal, "unknown session key type");
}

attest::SessionKey session_public_key(EVP_PKEY* key) {
  if (is_rsa(key)) return {attest::SessionKeyType::Rsa, spki_of(key)};
  const std::string curve = curve_name(key);
  if (curve == SN_X9_62_prime256v1) return {attest::SessionKeyType::P256, point_of(key)};
  if (curve == SN_secp384r1) return {attest::SessionKeyType::P384, point_of(key)};
  throw Error(ErrorKind::Malformed, "the card's session key is of no known type");
}

Bytes encode_cose_key(EVP_PKEY* key) {
  cbor::Writer writer;
  if (is_rsa(key)) {
    writer.map(3).integer(1).unsigned_(3).integer(-1).bytes(modulus_of(key));
    return writer.integer(-2).bytes(from_hex("010001")).take();
  }
  const Bytes point = point_of(key);
  const std::size_t field = point.size() / 2;
  const unsigned curve = field == kP384Field ? 2 : 1;
  writer.map(4).integer(1).unsigned_(2).integer(-1).unsigned_(curve);
  writer.integer(-2).bytes(ByteView(point).subspan(1, field));
  return writer.integer(-3).bytes(ByteView(point).subspan(1 + field)).take();
}

Bytes sign_es384(EVP_PKEY* key, ByteView message) {
  const DigestContextPtr context(made(EVP_MD_CTX_new(), "EVP_MD_CTX_new"));
  std::size_t size = 0;
  if (EVP_DigestSignInit_ex(context.get(), nullptr, "SHA384", nullptr, nullptr, key, nullptr) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1)
    throw Error(ErrorKind::Internal, "preparing a signature failed");
  Bytes der(size);
  if (EVP_DigestSign(context.get(), der.data(), &size, message.data(), message.size()) != 1)
    throw Error(ErrorKind::Internal, "signing failed");
  der.resize(size);
  return fixed_width(der);
}

void write_private_key(const std::filesystem::path& path, EVP_PKEY* key) {
  const BioPtr out(made(BIO_new(BIO_s_secmem()), "BIO_new"));
  if (PEM_write_bio_PKCS8PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    throw Error(ErrorKind::Internal, "writing a private key as PEM failed");
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  write_file(path, view({data, static_cast<std::size_t>(size)}), Existing::Refuse, 0600);
}

KeyPtr read_private_key(const std::filesystem::path& path) {
  Bytes pem = read_file(path, kMaxPem);
  KeyPtr key(PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, nullptr, nullptr));
  OPENSSL_cleanse(pem.data(), pem.size());
  ERR_clear_error();
  if (!key) throw Error(ErrorKind::Malformed, path.string() + ": not a private key in PEM");
  return key;
}

KeyPtr parse_seal_key(ByteView pem) {
  KeyPtr key(PEM_read_bio_PUBKEY(reader(pem).get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!key) throw Error(ErrorKind::Malformed, "not a public key in PEM");
  const bool good =
      EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_ED25519 || curve_name(key.get()) == SN_X9_62_prime256v1;
  if (!good) throw Error(ErrorKind::Malformed, "a seal key is Ed25519 or P-256; this key is neither");
  return key;
}

}  // namespace qpcseal::device
