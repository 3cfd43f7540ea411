// SPDX-License-Identifier: Apache-2.0
#include "appliance/approval/sshsig_sign.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/x509.h>

#include "base/error.h"
#include "base/openssl.h"

namespace qpcseal::approval {

namespace {

constexpr std::size_t kP256Point = 65, kP384Point = 97;  // bytes, uncompressed

// A key in hardware may answer no questions about itself; its SubjectPublicKeyInfo always can be had.
EvpKey public_half_of(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) throw Error(ErrorKind::Token, "the key does not show its public half");
  const unsigned char* at = der;
  EvpKey out(d2i_PUBKEY(nullptr, &at, size));
  OPENSSL_free(der);
  if (!out) throw Error(ErrorKind::Token, "the key's public half cannot be read");
  return out;
}

Bytes raw_ed25519(EVP_PKEY* key) {
  Bytes raw(32);
  std::size_t size = raw.size();
  if (EVP_PKEY_get_raw_public_key(key, raw.data(), &size) != 1 || size != raw.size())
    throw Error(ErrorKind::Internal, "EVP_PKEY_get_raw_public_key failed");
  return raw;
}

Bytes point_of(EVP_PKEY* key) {
  Bytes point(kP384Point + kP256Point);
  std::size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(key, "encoded-pub-key", point.data(), point.size(), &size) != 1)
    throw Error(ErrorKind::Malformed, "an elliptic curve that cannot approve; use P-256 or P-384");
  point.resize(size);
  return point;
}

std::string type_of(EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519) return "ssh-ed25519";
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
    char group[32];
    std::size_t size = 0;
    if (EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1) {
      const std::string name(group, size);
      if (name == "prime256v1" || name == "P-256") return "ecdsa-sha2-nistp256";
      if (name == "secp384r1" || name == "P-384") return "ecdsa-sha2-nistp384";
    }
  }
  throw Error(ErrorKind::Malformed, "a key of this kind cannot approve",
              "Ed25519, ECDSA P-256 or ECDSA P-384");
}

// A number as SSH writes it (RFC 4251 section 5): shortest, with a zero before a first bit of 1.
Bytes mpint(const BIGNUM* number) {
  Bytes out(static_cast<std::size_t>(BN_num_bytes(number)));
  BN_bn2bin(number, out.data());
  if (!out.empty() && (out[0] & 0x80) != 0) out.insert(out.begin(), 0);
  return out;
}

Bytes ecdsa_blob(ByteView der) {
  const unsigned char* at = der.data();
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> signature(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())), ECDSA_SIG_free);
  if (!signature) throw Error(ErrorKind::Token, "the key gave no ECDSA signature");
  Bytes out;
  append_ssh_string(out, mpint(ECDSA_SIG_get0_r(signature.get())));
  append_ssh_string(out, mpint(ECDSA_SIG_get0_s(signature.get())));
  return out;
}

Bytes sign_raw(EVP_PKEY* key, const EVP_MD* digest, ByteView data) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::size_t size = 0;
  const bool ready = context && EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
                     EVP_DigestSign(context.get(), nullptr, &size, data.data(), data.size()) == 1;
  Bytes out(size);
  if (!ready || EVP_DigestSign(context.get(), out.data(), &size, data.data(), data.size()) != 1)
    throw Error(ErrorKind::Token, "the key did not sign" + take_openssl_reason());
  out.resize(size);
  return out;
}

}  // namespace

Bytes ssh_key_blob(EVP_PKEY* key) {
  const EvpKey half = public_half_of(key);
  const std::string type = type_of(half.get());
  Bytes out;
  append_ssh_string(out, view(type));
  if (type == "ssh-ed25519") {
    append_ssh_string(out, raw_ed25519(half.get()));
  } else {
    append_ssh_string(out, view(type.substr(type.rfind('-') + 1)));
    append_ssh_string(out, point_of(half.get()));
  }
  static_cast<void>(parse_ssh_key(out));
  return out;
}

std::string sign_sshsig(EVP_PKEY* key, std::string_view sig_namespace, ByteView message) {
  const std::string type = parse_ssh_key(ssh_key_blob(key)).type;
  const EVP_MD* digest = type == "ssh-ed25519"   ? nullptr
                         : type.ends_with("384") ? EVP_sha384()
                                                 : EVP_sha256();
  return sign_sshsig(key, [&](ByteView data) { return sign_raw(key, digest, data); }, sig_namespace, message);
}

std::string sign_sshsig(EVP_PKEY* public_half, const SignData& sign, std::string_view sig_namespace,
                        ByteView message) {
  const Bytes blob = ssh_key_blob(public_half);
  const std::string type = parse_ssh_key(blob).type;
  const Bytes signature = sign(sshsig_signed_data(sig_namespace, message));
  Bytes wire;
  append_ssh_string(wire, view(type));
  append_ssh_string(wire, type == "ssh-ed25519" ? signature : ecdsa_blob(signature));
  std::string out = armour_sshsig(blob, sig_namespace, wire);
  if (!verify_sshsig(parse_sshsig(out), sig_namespace, message))
    throw Error(ErrorKind::Token, "the key signed, but its signature does not verify");
  return out;
}

}  // namespace qpcseal::approval
