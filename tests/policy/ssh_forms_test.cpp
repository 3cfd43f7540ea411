// SPDX-License-Identifier: Apache-2.0
// Signatures and keys put together field by field, each wrong in one of them: what OpenSSH would not write,
// or not for these officers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ecdsa.h>

#include <functional>

#include "appliance/approval/sshsig.h"
#include "appliance/approval/sshsig_sign.h"
#include "base/digest.h"
#include "base/error.h"
#include "tests/base/expect_error.h"

namespace qpcseal::policy {
namespace {

constexpr const char* kFormsNamespace = "policy@qpcseal";
constexpr std::string_view kMessage = "serial = 1\n";
const std::string kBegin = "-----BEGIN SSH SIGNATURE-----\n", kEnd = "-----END SSH SIGNATURE-----\n";

Bytes sign_raw(EVP_PKEY* key, const EVP_MD* digest, ByteView data) {
  Bytes out(256);
  std::size_t size = out.size();
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EXPECT_EQ(EVP_DigestSignInit(context, nullptr, digest, nullptr, key), 1);
  EXPECT_EQ(EVP_DigestSign(context, out.data(), &size, data.data(), data.size()), 1);
  EVP_MD_CTX_free(context);
  out.resize(size);
  return out;
}

Bytes strings(std::initializer_list<ByteView> parts) {
  Bytes out;
  for (const ByteView part : parts) approval::append_ssh_string(out, part);
  return out;
}

// A signature file by its fields; as it is, a good one of an Ed25519 key.
struct File {
  approval::EvpKey key{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")};
  std::string magic = "SSHSIG";
  std::uint32_t version = 1;
  Bytes blob = approval::ssh_key_blob(key.get());
  std::string sig_namespace = kFormsNamespace;
  Bytes reserved;
  std::string hash = "sha512";
  std::string type = "ssh-ed25519";
  Bytes signature =
      sign_raw(key.get(), nullptr, approval::sshsig_signed_data(kFormsNamespace, view(kMessage)));
  Bytes after_signature, after_all;

  [[nodiscard]] std::string text() const {
    Bytes wire = strings({view(type), signature}), out;
    append(wire, after_signature);
    append(out, magic);
    append_be(out, version, 4);
    append(out, strings({blob, view(sig_namespace), reserved, view(hash), wire}));
    append(out, after_all);
    return kBegin + to_base64(out) + "\n" + kEnd;
  }
};

bool good(const std::string& text, std::string_view sig_namespace = kFormsNamespace) {
  return approval::verify_sshsig(approval::parse_sshsig(text), sig_namespace, view(kMessage));
}

TEST(SshFile, EachFieldIsAsItHasToBe) {
  EXPECT_TRUE(good(File().text()));
  const std::pair<void (*)(File&), const char*> malformed[] = {
      {[](File& f) { f.magic = "SSHSIC"; }, "not one"},
      {[](File& f) { f.version = 0; }, "version 1"},
      {[](File& f) { f.version = 2; }, "version 1"},
      {[](File& f) { f.reserved = {0}; }, "reserved"},
      {[](File& f) { f.hash = "sha256"; }, "sha512"},
      {[](File& f) { f.hash = ""; }, "sha512"},
      {[](File& f) { f.blob.push_back(0); }, "SSH key"},
      {[](File& f) { f.after_signature = {0}; }, "SSH signature"},
      {[](File& f) { f.after_all = {0}; }, "SSH signature"}};
  for (const auto& [change, says] : malformed) {
    File file;
    change(file);
    EXPECT_ERROR(Malformed, says, good(file.text()));
  }
  void (*const bad[])(File&) = {
      [](File& f) { f.sig_namespace = "plan@qpcseal"; }, [](File& f) { f.type = "ecdsa-sha2-nistp256"; },
      [](File& f) { f.signature.pop_back(); }, [](File& f) { f.signature.push_back(0); },
      [](File& f) { f.signature.clear(); }};
  for (const auto change : bad) {
    File file;
    change(file);
    EXPECT_FALSE(good(file.text()));
  }
}

TEST(SshFile, NoNamespaceIsNone) {
  File file;
  file.sig_namespace.clear();
  file.signature = sign_raw(file.key.get(), nullptr, approval::sshsig_signed_data("", view(kMessage)));
  EXPECT_FALSE(good(file.text(), ""));
}

TEST(SshFile, NothingStandsOutsideTheArmour) {
  const std::string text = File().text();
  EXPECT_TRUE(good(text.substr(0, text.size() - 1)));  // the last line feed may be missing
  for (const std::string& wrong :
       {"x" + text, "\n" + text, text + "x", text + "\n", text.substr(1), text.substr(0, text.size() - 2),
        text.substr(kBegin.size()), text.substr(0, text.size() - kEnd.size()), kBegin, kEnd, std::string()})
    EXPECT_ERROR(Malformed, "armour", approval::parse_sshsig(wrong));
  EXPECT_ERROR(Malformed, "SSH signature", approval::parse_sshsig(kBegin + kEnd));
  EXPECT_ERROR(Malformed, "base64", approval::parse_sshsig(kBegin + "*" + text.substr(kBegin.size())));
  File file;
  file.after_all = Bytes(approval::kMaxSshsig);
  EXPECT_ERROR(Malformed, "too large", approval::parse_sshsig(file.text()));
}

// r and s as they are to be written, and not.
class EcdsaNumbers : public ::testing::Test {
 protected:
  approval::EvpKey key{EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")};
  Bytes r, s;

  // Until the first bit of r is set, so that its zero before that is needed.
  void SetUp() override {
    const Bytes data = approval::sshsig_signed_data(kFormsNamespace, view(kMessage));
    do {
      const Bytes der = sign_raw(key.get(), EVP_sha256(), data);
      const std::size_t size = der[3];
      r = copy(ByteView(der).subspan(4, size));
      s = copy(ByteView(der).subspan(6 + size, der[5 + size]));
    } while (r[0] != 0 || s[0] == 0);
  }
  [[nodiscard]] std::string text(const Bytes& numbers) const {
    return approval::armour_sshsig(approval::ssh_key_blob(key.get()), kFormsNamespace,
                                   strings({view("ecdsa-sha2-nistp256"), numbers}));
  }
};

TEST_F(EcdsaNumbers, ArePositiveAndShortest) {
  EXPECT_TRUE(good(text(strings({r, s}))));
  Bytes longer = {0};
  append(longer, s);
  Bytes after = strings({r, s});
  after.push_back(0);
  const std::pair<Bytes, const char*> malformed[] = {{strings({ByteView(r).subspan(1), s}), "not positive"},
                                                     {strings({{}, s}), "not positive"},
                                                     {strings({r, {}}), "not positive"},
                                                     {strings({r, longer}), "shortest"},
                                                     {strings({Bytes{0}, s}), "shortest"},
                                                     {strings({r, Bytes{0}}), "shortest"},
                                                     {after, "SSH signature"},
                                                     {strings({r}), "SSH signature"}};
  for (const auto& [numbers, says] : malformed) EXPECT_ERROR(Malformed, says, good(text(numbers)));
  EXPECT_FALSE(good(text(strings({s, r}))));
}

TEST(SshKey, HasTheSizeAndPointOfItsKind) {
  EXPECT_NO_THROW(approval::parse_ssh_key(strings({view("ssh-ed25519"), Bytes(32, 1)})));
  for (const std::size_t size : {0U, 31U, 33U})
    EXPECT_ERROR(Malformed, "32 bytes",
                 approval::parse_ssh_key(strings({view("ssh-ed25519"), Bytes(size, 1)})));
  const approval::EvpKey p256(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")),
      p384(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384"));
  const auto point = [](const approval::EvpKey& key) {
    Bytes out(200);
    std::size_t size = 0;
    EXPECT_EQ(EVP_PKEY_get_octet_string_param(key.get(), "encoded-pub-key", out.data(), out.size(), &size),
              1);
    out.resize(size);
    return out;
  };
  const auto key = [](const char* curve, ByteView at) {
    return approval::parse_ssh_key(
        strings({view(std::string("ecdsa-sha2-") + curve), view(std::string(curve)), at}));
  };
  const Bytes small = point(p256), large = point(p384);
  EXPECT_NO_THROW(key("nistp256", small));
  EXPECT_NO_THROW(key("nistp384", large));
  EXPECT_ERROR(Malformed, "uncompressed", key("nistp256", large));
  EXPECT_ERROR(Malformed, "uncompressed", key("nistp384", small));
  EXPECT_ERROR(Malformed, "uncompressed", key("nistp256", ByteView(small).first(33)));
  Bytes wrong = small;
  wrong[0] = 6;  // SEC 1's hybrid form, which OpenSSL would take
  EXPECT_ERROR(Malformed, "uncompressed", key("nistp256", wrong));
  wrong = small;
  wrong[64] ^= 1;
  EXPECT_ERROR(Malformed, "not on its curve", key("nistp256", wrong));
  wrong = Bytes(65, 0);
  wrong[0] = 4;
  EXPECT_ERROR(Malformed, "not on its curve", key("nistp256", wrong));
  EXPECT_ERROR(Malformed, "the curve is not the one",
               approval::parse_ssh_key(strings({view("ecdsa-sha2-nistp256"), view("nistp384"), small})));
}

TEST(SshKey, IsOfAKindThatMayApprove) {
  for (const char* type : {"ssh-rsa", "ssh-dss", "ecdsa-sha2-nistp521", "ssh-ed25519-cert-v01@openssh.com",
                           "sk-ssh-ed25519-cert-v01@openssh.com", "ssh-ed448", ""})
    EXPECT_ERROR(Malformed, "cannot approve",
                 approval::parse_ssh_key(strings({view(std::string(type)), Bytes(32, 1)})));
}

// A security key in software, after PROTOCOL.u2f; as it is, a good one.
struct SecurityKey {
  approval::EvpKey key{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")};
  std::string application = "ssh:";
  std::uint8_t flags = 0x01, signed_flags = 0x01;
  std::uint32_t counter = 7, signed_counter = 7;
  std::string signed_application = "ssh:";
  Bytes after;

  [[nodiscard]] std::string text() const {
    const Bytes plain = approval::ssh_key_blob(key.get());
    const ByteView raw = ByteView(plain).last(32);
    const std::string type = "sk-ssh-ed25519@openssh.com";
    Bytes data;
    append(data, sha256(view(signed_application)));
    data.push_back(signed_flags);
    append_be(data, signed_counter, 4);
    append(data, sha256(approval::sshsig_signed_data(kFormsNamespace, view(kMessage))));
    Bytes wire = strings({view(type), sign_raw(key.get(), nullptr, data)});
    wire.push_back(flags);
    append_be(wire, counter, 4);
    append(wire, after);
    return approval::armour_sshsig(strings({view(type), raw, view(application)}), kFormsNamespace, wire);
  }
};

TEST(SecurityKeys, OfEd25519SignOverApplicationFlagsAndCounter) {
  EXPECT_TRUE(good(SecurityKey().text()));
  void (*const fine[])(SecurityKey&) = {
      [](SecurityKey& k) { k.flags = k.signed_flags = 0x05; },  // its owner was verified too
      [](SecurityKey& k) { k.counter = k.signed_counter = 0xffffffff; },
      [](SecurityKey& k) { k.application = k.signed_application = "ssh:work"; }};
  for (const auto change : fine) {
    SecurityKey key;
    change(key);
    EXPECT_TRUE(good(key.text()));
  }
  void (*const bad[])(SecurityKey&) = {
      [](SecurityKey& k) { k.flags = k.signed_flags = 0x00; },  // nobody touched it
      [](SecurityKey& k) { k.flags = k.signed_flags = 0x04; }, [](SecurityKey& k) { k.signed_flags = 0x00; },
      [](SecurityKey& k) { k.signed_counter = 8; },
      [](SecurityKey& k) { k.signed_application = "ssh:work"; }};
  for (const auto change : bad) {
    SecurityKey key;
    change(key);
    EXPECT_FALSE(good(key.text()));
  }
}

TEST(SecurityKeys, HaveNothingMoreAndAnApplicationOfSsh) {
  SecurityKey key;
  key.after = {0};
  EXPECT_ERROR(Malformed, "SSH signature", good(key.text()));
  key = {};
  key.application = key.signed_application = "https://example.org";
  EXPECT_ERROR(Malformed, "starts with 'ssh:'", good(key.text()));
}

}  // namespace
}  // namespace qpcseal::policy
