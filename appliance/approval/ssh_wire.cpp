// SPDX-License-Identifier: Apache-2.0
#include "appliance/approval/ssh_wire.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

#include "base/digest.h"
#include "base/error.h"

namespace qpcseal::approval {

namespace {

constexpr std::size_t kEd25519Size = 32;  // bytes

Error bad_key(const std::string& what) { return {ErrorKind::Malformed, "SSH key: " + what}; }

EvpKey ed25519(ByteView raw) {
  if (raw.size() != kEd25519Size) throw bad_key("an Ed25519 key has 32 bytes");
  EvpKey key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw.data(), raw.size()));
  if (!key) throw bad_key("not an Ed25519 key");
  return key;
}

EvpKey from_point(const char* group, ByteView point) {
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, const_cast<char*>(group), 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, const_cast<std::uint8_t*>(point.data()),
                                        point.size()),
      OSSL_PARAM_construct_end()};
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr), EVP_PKEY_CTX_free);
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
    throw bad_key("the point is not on its curve");
  EvpKey out(key);
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> check(
      EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr), EVP_PKEY_CTX_free);
  if (!check || EVP_PKEY_public_check(check.get()) != 1) throw bad_key("the point is not on its curve");
  return out;
}

EvpKey ecdsa(SshReader& reader, const std::string& curve) {
  if (reader.text() != curve) throw bad_key("the curve is not the one that the key type names");
  const ByteView point = reader.string();
  const std::size_t size = curve == "nistp256" ? 65 : 97;
  if (point.size() != size || point[0] != 4) throw bad_key("the point is not in the uncompressed form");
  return from_point(curve == "nistp256" ? "P-256" : "P-384", point);
}

}  // namespace

void append_ssh_string(Bytes& out, ByteView bytes) {
  append_be(out, bytes.size(), 4);
  append(out, bytes);
}

SshPublicKey parse_ssh_key(ByteView blob) {
  SshReader reader(blob, "SSH key");
  SshPublicKey out;
  out.type = reader.text();
  out.blob = copy(blob);
  if (out.type == "ssh-ed25519" || out.type == "sk-ssh-ed25519@openssh.com") {
    out.key = ed25519(reader.string());
  } else if (out.type == "ecdsa-sha2-nistp256" || out.type == "sk-ecdsa-sha2-nistp256@openssh.com") {
    out.key = ecdsa(reader, "nistp256");
  } else if (out.type == "ecdsa-sha2-nistp384") {
    out.key = ecdsa(reader, "nistp384");
  } else {
    throw bad_key("kind '" + out.type.substr(0, 64) +
                  "' cannot approve; use ssh-ed25519, ecdsa nistp256 or nistp384, or their sk- forms");
  }
  if (out.is_security_key()) {
    out.application = reader.text();
    if (!out.application.starts_with("ssh:"))
      throw bad_key("the application of a security key starts with 'ssh:'");
  }
  reader.expect_end();
  return out;
}

std::string ssh_fingerprint(ByteView blob) {
  std::string text = to_base64(sha256(blob));
  while (text.ends_with('=')) text.pop_back();
  return "SHA256:" + text;
}

}  // namespace qpcseal::approval
