// SPDX-License-Identifier: Apache-2.0
#include "tests/audit/host_log.h"

#include <openssl/x509.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace qpcseal::testing {

HostSigner::HostSigner(tlog::KeyType type)
    : type_(type),
      key_(type == tlog::KeyType::Ed25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                          : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"),
           EVP_PKEY_free) {
  if (!key_) throw std::runtime_error("no test key");
}

Bytes HostSigner::sign(ByteView message) {
  ++signatures;
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const EVP_MD* digest = type_ == tlog::KeyType::Ed25519 ? nullptr : EVP_sha256();
  std::size_t size = 0;
  Bytes out;
  if (EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1)
    throw std::runtime_error("the test key does not sign");
  out.resize(size);
  if (EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) != 1)
    throw std::runtime_error("the test key does not sign");
  out.resize(size);
  return out;
}

Bytes HostSigner::public_key() const {
  if (type_ == tlog::KeyType::Ed25519) {
    Bytes out(32);
    std::size_t size = out.size();
    EVP_PKEY_get_raw_public_key(key_.get(), out.data(), &size);
    return out;
  }
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key_.get(), &der);
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

void CountingRandom::fill(MutableBytes out) {
  const Sha256Digest digest = sha256(view(std::to_string(next_++)));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = digest[i % digest.size()];
}

audit::SiteFacts site_facts() {
  audit::SiteFacts facts;
  facts.module_sha256 = std::string(64, 'e');
  facts.anchor = true;
  return facts;
}

encoding::Json genesis_data() {
  return {{"trust", std::string(64, 'a')},
          {"officers", nullptr},
          {"policy", {{"digest", std::string(64, 'b')}, {"serial", 1}}},
          {"site", audit::as_json(site_facts())},
          {"token", "0123456789abcdef"}};
}

encoding::Json challenge_data(std::uint64_t number) {
  const std::string nonce = sha256_hex("nonce " + std::to_string(number));
  return {{"nonce", nonce},        {"mek_id", std::string(32, '7')},
          {"expires", 1800003600}, {"ueid", nullptr},
          {"host", nullptr},       {"device", nullptr}};
}

encoding::Json wrapped_data(const std::string& wrapped) {
  const encoding::Json floor{{"scheme", "s"}, {"hwmodel", "0102"}, {"name", "n"}, {"svn", 3}},
      crl{{"issuer", "3000"}, {"number", "07"}};
  return {
      {"wrapped_sha256", wrapped},
      {"pub_sha256", std::string(64, 'b')},
      {"raised", {{"svn_floors", encoding::Json::array({floor})}, {"crls", encoding::Json::array({crl})}}}};
}

encoding::Json release_result(const encoding::Json& intent) {
  return {{"ueid", intent["ueid"]},
          {"nonce", intent["nonce"]},
          {"mek_id", intent["mek_id"]},
          {"wrapped_sha256", std::string(64, 'd')}};
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return out.str();
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace qpcseal::testing
