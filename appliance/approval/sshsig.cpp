// SPDX-License-Identifier: Apache-2.0
#include "appliance/approval/sshsig.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

#include "base/digest.h"
#include "base/error.h"

namespace qpcseal::approval {

namespace {

constexpr std::string_view kMagic = "SSHSIG", kHash = "sha512";
constexpr std::string_view kBegin = "-----BEGIN SSH SIGNATURE-----\n", kEnd = "-----END SSH SIGNATURE-----\n";
constexpr std::uint32_t kVersion = 1;
constexpr std::uint8_t kUserPresent = 0x01;
constexpr std::size_t kLine = 70;  // characters of base64 a line, as ssh-keygen writes

Error bad(const std::string& what) { return {ErrorKind::Malformed, "SSH signature: " + what}; }

Bytes sha512(ByteView message) {
  Bytes out(64);
  if (EVP_Digest(message.data(), message.size(), out.data(), nullptr, EVP_sha512(), nullptr) != 1)
    throw Error(ErrorKind::Internal, "EVP_Digest failed");
  return out;
}

Bytes unarmour(std::string_view text) {
  if (text.size() > kMaxSshsig) throw bad("too large");
  std::string whole(text);
  if (!whole.ends_with('\n')) whole += '\n';
  if (!whole.starts_with(kBegin) || !whole.ends_with(kEnd) || whole.size() < kBegin.size() + kEnd.size())
    throw bad("no SSH SIGNATURE armour around it, or text outside");
  std::string base64;
  for (std::size_t i = kBegin.size(); i < whole.size() - kEnd.size(); ++i)
    if (whole[i] != '\n') base64 += whole[i];
  return from_base64(base64);
}

// An mpint (RFC 4251): positive, shortest. Returns its magnitude.
ByteView positive(ByteView mpint) {
  if (mpint.empty() || (mpint[0] & 0x80) != 0) throw bad("a number that is not positive");
  if (mpint[0] != 0) return mpint;
  if (mpint.size() < 2 || (mpint[1] & 0x80) == 0) throw bad("a number that is not in its shortest form");
  return mpint.subspan(1);
}

Bytes ecdsa_der(ByteView blob) {
  SshReader reader(blob, "SSH signature");
  const ByteView r = positive(reader.string()), s = positive(reader.string());
  reader.expect_end();
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> signature(ECDSA_SIG_new(), ECDSA_SIG_free);
  BIGNUM* first = BN_bin2bn(r.data(), static_cast<int>(r.size()), nullptr);
  BIGNUM* second = BN_bin2bn(s.data(), static_cast<int>(s.size()), nullptr);
  if (!signature || ECDSA_SIG_set0(signature.get(), first, second) != 1)
    throw Error(ErrorKind::Internal, "ECDSA_SIG_set0 failed");
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) throw Error(ErrorKind::Internal, "i2d_ECDSA_SIG failed");
  const Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

bool verify_raw(EVP_PKEY* key, const EVP_MD* digest, ByteView signature, ByteView message) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                          message.size()) == 1;
}

bool verify_with(const SshPublicKey& key, ByteView blob, ByteView message) {
  if (EVP_PKEY_get_base_id(key.key.get()) == EVP_PKEY_ED25519)
    return blob.size() == 64 && verify_raw(key.key.get(), nullptr, blob, message);
  const EVP_MD* digest = key.type == "ecdsa-sha2-nistp384" ? EVP_sha384() : EVP_sha256();
  return verify_raw(key.key.get(), digest, ecdsa_der(blob), message);
}

// PROTOCOL.u2f: SHA-256(application) || flags || counter || SHA-256(signed data).
Bytes security_key_message(const SshPublicKey& key, std::uint8_t flags, std::uint32_t counter,
                           ByteView data) {
  Bytes out;
  append(out, sha256(view(key.application)));
  out.push_back(flags);
  append_be(out, counter, 4);
  append(out, sha256(data));
  return out;
}

}  // namespace

Bytes sshsig_signed_data(std::string_view sig_namespace, ByteView message) {
  Bytes out;
  append(out, kMagic);
  append_ssh_string(out, view(sig_namespace));
  append_ssh_string(out, {});
  append_ssh_string(out, view(kHash));
  append_ssh_string(out, sha512(message));
  return out;
}

SshSignature parse_sshsig(std::string_view armoured) {
  const Bytes blob = unarmour(armoured);
  SshReader reader(blob, "SSH signature");
  if (text_view(reader.take(kMagic.size())) != kMagic) throw bad("not one");
  if (reader.u32() != kVersion) throw bad("only version 1 is known");
  SshSignature out;
  out.key = parse_ssh_key(reader.string());
  out.sig_namespace = reader.text();
  if (!reader.string().empty()) throw bad("the reserved field is not empty");
  if (reader.text() != kHash) throw bad("the hash is not sha512");
  out.signature = copy(reader.string());
  reader.expect_end();
  return out;
}

bool verify_sshsig(const SshSignature& signature, std::string_view sig_namespace, ByteView message) {
  if (signature.sig_namespace != sig_namespace || sig_namespace.empty()) return false;
  SshReader reader(signature.signature, "SSH signature");
  if (reader.text() != signature.key.type) return false;
  const ByteView blob = reader.string();
  Bytes data = sshsig_signed_data(sig_namespace, message);
  if (signature.key.is_security_key()) {
    const std::uint8_t flags = reader.byte();
    const std::uint32_t counter = reader.u32();
    if ((flags & kUserPresent) == 0) return false;
    data = security_key_message(signature.key, flags, counter, data);
  }
  reader.expect_end();
  return verify_with(signature.key, blob, data);
}

std::string armour_sshsig(ByteView key_blob, std::string_view sig_namespace, ByteView wire_signature) {
  Bytes blob;
  append(blob, kMagic);
  append_be(blob, kVersion, 4);
  append_ssh_string(blob, key_blob);
  append_ssh_string(blob, view(sig_namespace));
  append_ssh_string(blob, {});
  append_ssh_string(blob, view(kHash));
  append_ssh_string(blob, wire_signature);
  const std::string base64 = to_base64(blob);
  std::string out(kBegin);
  for (std::size_t i = 0; i < base64.size(); i += kLine) out += base64.substr(i, kLine) + "\n";
  return out + std::string(kEnd);
}

}  // namespace qpcseal::approval
