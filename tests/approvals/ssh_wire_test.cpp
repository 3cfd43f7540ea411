// SPDX-License-Identifier: Apache-2.0
// SSH public keys on the wire: which kinds may approve, and in which form.
#include "appliance/approval/ssh_wire.h"

#include <gtest/gtest.h>

#include "appliance/approval/sshsig_sign.h"
#include "tests/base/expect_error.h"

namespace qpcseal::approval {
namespace {

EvpKey generated(const char* curve) { return EvpKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve)); }
EvpKey generated_ed25519() { return EvpKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")); }

Bytes wire(const std::vector<Bytes>& strings) {
  Bytes out;
  for (const Bytes& string : strings) append_ssh_string(out, string);
  return out;
}

Bytes text(const char* of) { return copy(view(of)); }

// The strings of a key's blob behind its type.
std::vector<Bytes> parts_of(EVP_PKEY* key) {
  const Bytes blob = ssh_key_blob(key);
  SshReader reader(blob, "test");
  reader.string();
  std::vector<Bytes> out{copy(reader.string())};
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) out.push_back(copy(reader.string()));
  return out;
}

TEST(SshWire, AKeyThatDoesNotSignIsSaidWithOpenSslsReason) {
  const SshPublicKey half = parse_ssh_key(ssh_key_blob(generated("P-256").get()));
  EXPECT_ERROR(Token,
               "the key did not sign: ", sign_sshsig(half.key.get(), "approval@qpcseal", view("text")));
}

// A token signs by another key than it shows, or gives what is no signature.
TEST(SshWire, ASignatureThatDoesNotHoldIsNotGivenOut) {
  const EvpKey shown = generated("P-256"), other = generated("P-256"), ed25519 = generated_ed25519();
  const auto signed_by = [](EVP_PKEY* key) {
    return [key](ByteView data) {
      const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                            EVP_MD_CTX_free);
      Bytes out(100);
      std::size_t size = out.size();
      EXPECT_EQ(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key), 1);
      EXPECT_EQ(EVP_DigestSign(context.get(), out.data(), &size, data.data(), data.size()), 1);
      out.resize(size);
      return out;
    };
  };
  const auto sign = [&](EVP_PKEY* key, const SignData& by) {
    return sign_sshsig(key, by, "approval@qpcseal", view("text"));
  };
  EXPECT_NE(sign(shown.get(), signed_by(shown.get())), "");
  EXPECT_ERROR(Token, "the key signed, but its signature does not verify",
               sign(shown.get(), signed_by(other.get())));
  EXPECT_ERROR(Token, "the key signed, but its signature does not verify",
               sign(ed25519.get(), [](ByteView) { return Bytes(64, 1); }));
  for (const Bytes& none : {Bytes{}, Bytes{0x30}, Bytes(64, 1)})
    EXPECT_ERROR(Token, "the key gave no ECDSA signature", sign(shown.get(), [&](ByteView) { return none; }));
}

TEST(SshWire, AStringIsItsLengthAndItsBytes) {
  Bytes out{9};
  append_ssh_string(out, text("ab"));
  append_ssh_string(out, {});
  EXPECT_EQ(out, (Bytes{9, 0, 0, 0, 2, 'a', 'b', 0, 0, 0, 0}));
}

TEST(SshWire, IsReadInOrderAndNoFurther) {
  const Bytes bytes{0, 0, 0, 2, 'a', 'b', 7, 0, 0, 1, 0, 1, 2};
  SshReader reader(bytes, "the key");
  EXPECT_EQ(reader.text(), "ab");
  EXPECT_EQ(reader.byte(), 7);
  EXPECT_EQ(reader.u32(), 256U);
  EXPECT_ERROR(Malformed, "the key", reader.expect_end());
  EXPECT_EQ(copy(reader.take(2)), (Bytes{1, 2}));
  EXPECT_NO_THROW(reader.expect_end());
  EXPECT_ERROR(Malformed, "the key: truncated", reader.byte());
}

TEST(SshWire, AStringEndsWithinItsBytes) {
  for (const Bytes& bad : {Bytes{0, 0, 0}, Bytes{0, 0, 0, 3, 'a', 'b'}, Bytes{0xff, 0xff, 0xff, 0xff, 'a'}})
    EXPECT_ERROR(Malformed, "the key: truncated", SshReader(bad, "the key").string());
}

TEST(SshKey, OfEachKindIsRead) {
  const EvpKey ed25519 = generated_ed25519(), p256 = generated("P-256"), p384 = generated("P-384");
  for (const auto& [key, type] :
       {std::pair(ed25519.get(), "ssh-ed25519"), std::pair(p256.get(), "ecdsa-sha2-nistp256"),
        std::pair(p384.get(), "ecdsa-sha2-nistp384")}) {
    const Bytes blob = ssh_key_blob(key);
    const SshPublicKey read = parse_ssh_key(blob);
    EXPECT_EQ(read.type, type);
    EXPECT_EQ(read.blob, blob);
    EXPECT_EQ(EVP_PKEY_eq(read.key.get(), key), 1) << type;
    EXPECT_FALSE(read.is_security_key());
    EXPECT_EQ(read.application, "");
    Bytes longer = blob;
    longer.push_back(0);
    EXPECT_ERROR(Malformed, "SSH key", parse_ssh_key(longer));
    for (std::size_t size = 0; size < blob.size(); ++size)
      EXPECT_ERROR(Malformed, "SSH key", parse_ssh_key(ByteView(blob).first(size))) << type << " " << size;
  }
}

TEST(SshKey, OfASecurityKeyNamesItsApplication) {
  const EvpKey ed25519 = generated_ed25519(), p256 = generated("P-256");
  const Bytes raw = parts_of(ed25519.get())[0];
  const std::vector<Bytes> point = parts_of(p256.get());
  const auto sk_ed25519 = [&](const char* application) {
    return parse_ssh_key(wire({text("sk-ssh-ed25519@openssh.com"), raw, text(application)}));
  };
  const auto sk_ecdsa = [&](const char* application) {
    return parse_ssh_key(
        wire({text("sk-ecdsa-sha2-nistp256@openssh.com"), point[0], point[1], text(application)}));
  };
  EXPECT_EQ(sk_ed25519("ssh:").application, "ssh:");
  EXPECT_EQ(sk_ecdsa("ssh:plant").application, "ssh:plant");
  EXPECT_TRUE(sk_ed25519("ssh:").is_security_key());
  for (const char* bad : {"", "ssh", "https://example.org", "SSH:"}) {
    EXPECT_ERROR(Malformed, "the application of a security key starts with 'ssh:'", sk_ed25519(bad));
    EXPECT_ERROR(Malformed, "the application of a security key starts with 'ssh:'", sk_ecdsa(bad));
  }
  EXPECT_ERROR(Malformed, "truncated", parse_ssh_key(wire({text("sk-ssh-ed25519@openssh.com"), raw})));
}

TEST(SshKey, OfAnotherKindIsRefused) {
  for (const char* kind : {"ssh-rsa", "ssh-dss", "rsa-sha2-512", "ecdsa-sha2-nistp521", "ssh-ed448", "",
                           "ssh-ed25519-cert-v01@openssh.com", "SSH-ED25519"})
    EXPECT_ERROR(Malformed, std::string("kind '") + kind + "' cannot approve",
                 parse_ssh_key(wire({text(kind), Bytes(32, 1)})));
  EXPECT_ERROR(Malformed, "kind '" + std::string(64, 'x') + "' cannot approve",
               parse_ssh_key(wire({Bytes(100, 'x')})));
}

TEST(SshKey, HasTheSizeOfItsKind) {
  for (const std::size_t size : {0U, 31U, 33U})
    EXPECT_ERROR(Malformed, "an Ed25519 key has 32 bytes",
                 parse_ssh_key(wire({text("ssh-ed25519"), Bytes(size, 1)})));
}

TEST(SshKey, IsAPointOfTheCurveThatItNames) {
  const EvpKey p256 = generated("P-256"), p384 = generated("P-384");
  const Bytes good = parts_of(p256.get())[1];
  const auto with = [](const char* type, const char* curve, const Bytes& point) {
    return parse_ssh_key(wire({text(type), text(curve), point}));
  };
  const auto nistp256 = [&](const Bytes& point) { return with("ecdsa-sha2-nistp256", "nistp256", point); };
  EXPECT_NO_THROW(nistp256(good));
  EXPECT_ERROR(Malformed, "the curve is not the one that the key type names",
               with("ecdsa-sha2-nistp256", "nistp384", parts_of(p384.get())[1]));
  EXPECT_ERROR(Malformed, "the curve is not the one", with("ecdsa-sha2-nistp384", "nistp256", good));
  EXPECT_ERROR(Malformed, "not in the uncompressed form", with("ecdsa-sha2-nistp384", "nistp384", good));
  Bytes bad = good;
  bad[64] ^= 1;
  EXPECT_ERROR(Malformed, "the point is not on its curve", nistp256(bad));
  Bytes compressed = good;
  compressed[0] = 2;
  EXPECT_ERROR(Malformed, "not in the uncompressed form", nistp256(compressed));
  compressed.resize(33);
  EXPECT_ERROR(Malformed, "not in the uncompressed form", nistp256(compressed));
  EXPECT_ERROR(Malformed, "not in the uncompressed form", nistp256({}));
  Bytes zeros(65, 0);
  zeros[0] = 4;
  EXPECT_ERROR(Malformed, "the point is not on its curve", nistp256(zeros));
}

TEST(SshKey, HasTheFingerprintThatSshKeygenPrints) {
  // ssh-keygen -lf of: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB
  EXPECT_EQ(ssh_fingerprint(wire({text("ssh-ed25519"), Bytes(32, 1)})),
            "SHA256:RXm/ruZ0eTzRXKwi1AQEDynB0VgHQ2ac9KPSFdf/YnA");
  EXPECT_EQ(ssh_fingerprint({}), "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU") << "of nothing";
}

}  // namespace
}  // namespace qpcseal::approval
