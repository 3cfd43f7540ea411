// SPDX-License-Identifier: Apache-2.0
// Signatures against OpenSSH's own ssh-keygen, and against a software security key made here from the public
// format.
#include "appliance/approval/sshsig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ec.h>

#include <cstdlib>
#include <filesystem>

#include "appliance/approval/officers.h"
#include "appliance/approval/sshsig_sign.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "tests/base/expect_error.h"

namespace qpcseal::policy {
namespace {

namespace fs = std::filesystem;
constexpr const char* kSigNamespace = "policy@qpcseal";

class SshKeygen : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "qpcseal-ssh-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    write("message", "serial = 1\n");
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }
  void write(const std::string& name, std::string_view text) const {
    write_file(path(name), view(text), Existing::Replace, 0600);
  }
  [[nodiscard]] std::string read(const std::string& name) const { return read_text_file(path(name), 65536); }
  // 0 when the command succeeds.
  [[nodiscard]] int shell(const std::string& command) const {
    return std::system(("cd '" + folder_.string() + "' && " + command + " >/dev/null 2>&1").c_str());
  }
  void make_key(const std::string& name, const std::string& type) const {
    ASSERT_EQ(shell("ssh-keygen -q -N '' -f " + name + " " + type), 0);
  }
  [[nodiscard]] std::string sign(const std::string& key, const std::string& sig_namespace) const {
    EXPECT_EQ(
        shell("rm -f message.sig && ssh-keygen -Y sign -f " + key + " -n " + sig_namespace + " message"), 0);
    return read("message.sig");
  }
  // "KEYTYPE BASE64" of a .pub file.
  [[nodiscard]] std::string public_half(const std::string& key) const {
    const std::string text = read(key + ".pub");
    return text.substr(0, text.find(' ', text.find(' ') + 1));
  }

  fs::path folder_;
};

TEST_F(SshKeygen, SignsAndWeVerify) {
  for (const std::string type : {"-t ed25519", "-t ecdsa -b 256", "-t ecdsa -b 384"}) {
    fs::remove(path("key"));
    make_key("key", type);
    const approval::SshSignature signature = approval::parse_sshsig(sign("key", kSigNamespace));
    EXPECT_TRUE(approval::verify_sshsig(signature, kSigNamespace, view("serial = 1\n"))) << type;
    EXPECT_FALSE(approval::verify_sshsig(signature, kSigNamespace, view("serial = 2\n"))) << type;
    EXPECT_FALSE(approval::verify_sshsig(signature, "plan@qpcseal", view("serial = 1\n"))) << type;
  }
}

TEST_F(SshKeygen, WeSignAndItVerifies) {
  for (const std::string type : {"ED25519", "P-256", "P-384"}) {
    const approval::EvpKey key(type == "ED25519" ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                                 : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", type.c_str()));
    ASSERT_TRUE(key);
    const Bytes blob = approval::ssh_key_blob(key.get());
    write("allowed", "anna namespaces=\"policy@qpcseal\" " + approval::parse_ssh_key(blob).type + " " +
                         to_base64(blob) + "\n");
    for (unsigned i = 0; i < 8; ++i) {  // numbers that begin with a set bit, and short ones
      write("message.sig", approval::sign_sshsig(key.get(), kSigNamespace, view("serial = 1\n")));
      EXPECT_EQ(shell("ssh-keygen -Y verify -f allowed -I anna -n policy@qpcseal -s message.sig < message"),
                0)
          << type;
    }
  }
  const approval::EvpKey other(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-521"));
  EXPECT_ERROR(Malformed, "cannot approve", approval::sign_sshsig(other.get(), kSigNamespace, view("x")));
}

TEST_F(SshKeygen, RefusesKindsAndHashesThatMayNotApprove) {
  make_key("rsa", "-t rsa -b 3072");
  EXPECT_THROW(approval::parse_sshsig(sign("rsa", kSigNamespace)), Error);
  make_key("key", "-t ed25519");
  ASSERT_EQ(shell("rm message.sig; ssh-keygen -Y sign -O hashalg=sha256 -f key -n policy@qpcseal message"),
            0);
  try {
    (void)approval::parse_sshsig(read("message.sig"));
    FAIL() << "sha256 was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Malformed);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("sha512"));
  }
}

TEST_F(SshKeygen, EveryFlippedBitIsRefused) {
  make_key("key", "-t ecdsa -b 256");
  std::string text = sign("key", kSigNamespace);
  unsigned refused = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') continue;
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string mutant = text;
      mutant[i] = static_cast<char>(mutant[i] ^ (1 << bit));
      if (mutant[i] == '\n') continue;
      try {
        ASSERT_FALSE(
            approval::verify_sshsig(approval::parse_sshsig(mutant), kSigNamespace, view("serial = 1\n")))
            << i << "." << bit;
      } catch (const Error& error) {
        ASSERT_EQ(error.kind(), ErrorKind::Malformed);
      }
      ++refused;
    }
  }
  EXPECT_GT(refused, 2000U);
}

TEST_F(SshKeygen, OfficersAreTalliedByPersonAndKey) {
  make_key("anna", "-t ed25519");
  make_key("bela", "-t ecdsa -b 384");
  make_key("carl", "-t ed25519");
  const std::string option = " namespaces=\"policy@qpcseal,approval@qpcseal\"";
  const approval::Officers officers = approval::parse_officers(
      "# three\nanna" + option + " " + public_half("anna") + " card 1\nbela" + option + " " +
      public_half("bela") + "\nanna" + option + ",valid-before=\"20200101Z\" " + public_half("carl") + "\n");
  const std::string a = sign("anna", kSigNamespace), b = sign("bela", kSigNamespace),
                    c = sign("carl", kSigNamespace);
  const auto tally = [&](const std::vector<std::string>& all, UnixTime now) {
    return approval::tally_signatures(officers, kSigNamespace, view("serial = 1\n"), all, now);
  };
  const UnixTime now = parse_time("2026-11-24T00:00:00Z"), before = parse_time("2019-01-01T00:00:00Z");
  EXPECT_EQ(tally({a, b}, now).approvers.size(), 2U);
  EXPECT_EQ(tally({a, a}, now).findings.at(0).id, "POL-SIGNATURE-TWICE");
  EXPECT_EQ(tally({a, c}, before).findings.at(0).id, "POL-SIGNATURE-TWICE");
  EXPECT_EQ(tally({c}, now).findings.at(0).id, "POL-SIGNATURE-LATE");
  EXPECT_EQ(tally({"nonsense"}, now).findings.at(0).id, "POL-SIGNATURE-MALFORMED");
  EXPECT_EQ(tally({sign("anna", "approval@qpcseal")}, now).findings.at(0).id, "POL-SIGNATURE-BAD");
  make_key("dora", "-t ed25519");
  EXPECT_EQ(tally({sign("dora", kSigNamespace)}, now).findings.at(0).id, "POL-SIGNATURE-UNKNOWN");
}

TEST_F(SshKeygen, SignaturesCountOnlyInTheirNamespaceAndTime) {
  make_key("anna", "-t ed25519");
  make_key("bela", "-t ed25519");
  const approval::Officers officers = approval::parse_officers(
      "anna namespaces=\"approval@qpcseal\" " + public_half("anna") +
      "\nbela namespaces=\"policy@qpcseal\",valid-after=\"20261124Z\" " + public_half("bela") + "\n");
  const auto first = [&](const std::string& signature, UnixTime now) {
    const approval::Tally tally =
        approval::tally_signatures(officers, kSigNamespace, view("serial = 1\n"), {signature}, now);
    return tally.findings.empty() ? std::string() : tally.findings[0].id;
  };
  const UnixTime start = parse_time("2026-11-24T00:00:00Z");
  EXPECT_EQ(first(sign("anna", kSigNamespace), start), "POL-SIGNATURE-NAMESPACE");
  const std::string bela = sign("bela", kSigNamespace);
  EXPECT_EQ(first(bela, start - 1), "POL-SIGNATURE-EARLY");
  EXPECT_EQ(first(bela, start), "");
}

TEST_F(SshKeygen, OfficersFileIsReadStrictly) {
  make_key("anna", "-t ed25519");
  const std::string key = public_half("anna"), option = " namespaces=\"policy@qpcseal\"";
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"", "nobody"},
      {"anna,bela" + option + " " + key, "plain name"},
      {"*" + option + " " + key, "plain name"},
      {"anna " + key, "option"},
      {"anna namespaces=\"*\" " + key, "namespaces"},
      {"anna cert-authority,namespaces=\"policy@qpcseal\" " + key, "cert-authority"},
      {"anna" + option + ",valid-after=\"20200101\" " + key, "final Z"},
      {"anna" + option + " " + key + "\nbela" + option + " " + key, "again"},
      {"anna" + option + " ecdsa-sha2-nistp256 " + key.substr(key.find(' ') + 1), "kind"}};
  for (const auto& [text, reason] : bad) {
    try {
      (void)approval::parse_officers(text);
      ADD_FAILURE() << "accepted: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Malformed) << text;
      EXPECT_THAT(error.what(), ::testing::HasSubstr(reason)) << text;
    }
  }
}

// A security key in software, after PROTOCOL.u2f.
struct SoftwareKey {
  approval::EvpKey key{EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")};
  Bytes blob;

  SoftwareKey() {
    Bytes point(65);
    std::size_t size = 0;
    EXPECT_EQ(EVP_PKEY_get_octet_string_param(key.get(), "encoded-pub-key", nullptr, 0, &size), 1);
    point.resize(size);
    EXPECT_EQ(EVP_PKEY_get_octet_string_param(key.get(), "encoded-pub-key", point.data(), size, &size), 1);
    approval::append_ssh_string(blob, view("sk-ecdsa-sha2-nistp256@openssh.com"));
    approval::append_ssh_string(blob, view("nistp256"));
    approval::append_ssh_string(blob, point);
    approval::append_ssh_string(blob, view("ssh:"));
  }

  [[nodiscard]] std::string sign(std::string_view message, std::uint8_t flags) const {
    Bytes data;
    append(data, sha256(view("ssh:")));
    data.push_back(flags);
    append_be(data, 7, 4);
    append(data, sha256(approval::sshsig_signed_data(kSigNamespace, view(message))));
    Bytes der(80);
    std::size_t size = der.size();
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EXPECT_EQ(EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key.get()), 1);
    EXPECT_EQ(EVP_DigestSign(context, der.data(), &size, data.data(), data.size()), 1);
    EVP_MD_CTX_free(context);
    // DER SEQUENCE of two INTEGERs: their contents are already in the shortest signed form, as mpints are.
    Bytes numbers, wire;
    const std::size_t r = der[3];
    approval::append_ssh_string(numbers, ByteView(der).subspan(4, r));
    approval::append_ssh_string(numbers, ByteView(der).subspan(6 + r, der[5 + r]));
    approval::append_ssh_string(wire, view("sk-ecdsa-sha2-nistp256@openssh.com"));
    approval::append_ssh_string(wire, numbers);
    wire.push_back(flags);
    append_be(wire, 7, 4);
    return approval::armour_sshsig(blob, kSigNamespace, wire);
  }
};

TEST_F(SshKeygen, SecurityKeyWithPresenceIsAcceptedHereAndByOpenSsh) {
  const SoftwareKey token;
  const std::string good = token.sign("serial = 1\n", 0x01);
  EXPECT_TRUE(approval::verify_sshsig(approval::parse_sshsig(good), kSigNamespace, view("serial = 1\n")));
  EXPECT_FALSE(approval::verify_sshsig(approval::parse_sshsig(token.sign("serial = 1\n", 0x00)),
                                       kSigNamespace, view("serial = 1\n")));
  write("message.sig", good);
  write("allowed", "anna namespaces=\"policy@qpcseal\" sk-ecdsa-sha2-nistp256@openssh.com " +
                       to_base64(token.blob) + "\n");
  EXPECT_EQ(shell("ssh-keygen -Y verify -f allowed -I anna -n policy@qpcseal -s message.sig < message"), 0);
  EXPECT_EQ(approval::parse_officers(read("allowed")).list.size(), 1U);
}

}  // namespace
}  // namespace qpcseal::policy
