// SPDX-License-Identifier: Apache-2.0
// The files of a trust folder: one certificate or list each, in PEM or DER, and not too many.
#include "appliance/trust/trust_folder.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/attest/test_card.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::trust {
namespace {

using qpcseal::testing::make_crl;
using qpcseal::testing::TestCard;
using Files = std::map<std::string, Bytes>;

const TestCard& maker() {
  static const TestCard one;
  return one;
}

std::string pem(const std::string& type, ByteView der) {
  std::string out = "-----BEGIN " + type + "-----\n";
  const std::string text = to_base64(der);
  for (std::size_t at = 0; at < text.size(); at += 64) out += text.substr(at, 64) + "\n";
  return out + "-----END " + type + "-----\n";
}

class TrustFiles : public ::testing::Test {
 protected:
  const Bytes root = maker().root.der(), crl = make_crl(maker().issuer, {});
  const std::string root_pem = pem("CERTIFICATE", root);

  static Trust only(const std::string& name, const Bytes& bytes) { return trust_of_files({{name, bytes}}); }
  static Trust only(const std::string& name, const std::string& text) { return only(name, copy(view(text))); }
  // So many roots.
  [[nodiscard]] Files roots(std::size_t count) const {
    Files out;
    for (std::size_t i = 0; i < count; ++i) out[std::to_string(i) + ".der"] = root;
    return out;
  }
};

TEST_F(TrustFiles, AreDerOrPem) {
  EXPECT_EQ(only("a.der", root).roots[0].der, root);
  EXPECT_EQ(only("a.pem", "Issuer: the maker\n" + root_pem).roots[0].der, root) << "with text before it";
  const Trust both =
      trust_of_files({{"A.CRT", copy(view(root_pem))}, {"b.CRL", copy(view(pem("X509 CRL", crl)))}});
  EXPECT_EQ(both.roots[0].name, "A.CRT") << "FAT gives names in capitals";
  EXPECT_EQ(both.crls[0].der, crl);
}

TEST_F(TrustFiles, AreOneItemEach) {
  EXPECT_ERROR(Malformed, "a.pem: more than one PEM block", only("a.pem", root_pem + root_pem));
  EXPECT_ERROR(Malformed, "a.pem: broken PEM", only("a.pem", root_pem.substr(0, root_pem.size() - 20)));
  EXPECT_ERROR(Malformed, "a.pem: the PEM block is not a CERTIFICATE", only("a.pem", pem("X509 CRL", crl)));
  EXPECT_ERROR(Malformed, "a.crl: the PEM block is not a X509 CRL", only("a.crl", root_pem));
  Bytes longer = root;
  longer.push_back(0);
  EXPECT_ERROR(Malformed, "a.der: not a certificate", only("a.der", longer));
  EXPECT_ERROR(Malformed, "a.der: not a certificate", only("a.der", pem("CERTIFICATE", longer)));
  EXPECT_ERROR(Malformed, "a.der: not a certificate", only("a.der", crl));
  EXPECT_ERROR(Malformed, "a.der: not a certificate", only("a.der", Bytes()));
  EXPECT_ERROR(Malformed, "a.crl: not a CRL", only("a.crl", root));
}

// An encrypted block has a header, and is none of this.
TEST_F(TrustFiles, HaveNoHeadersInPem) {
  std::string text = root_pem;
  text.insert(text.find('\n') + 1, "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n");
  EXPECT_ERROR(Malformed, "a.pem: the PEM block is not a CERTIFICATE", only("a.pem", text));
}

TEST_F(TrustFiles, AreNamedByWhatTheyAre) {
  for (const char* name : {"a.txt", "a", ".der.bak", "a.der~"})
    EXPECT_ERROR(Malformed, "neither a certificate", only(name, root));
  EXPECT_ERROR(Malformed, "it holds no root certificate", only("a.crl", crl));
  EXPECT_ERROR(Malformed, "it holds no root certificate", trust_of_files({}));
}

TEST_F(TrustFiles, AreAtMost64) {
  EXPECT_EQ(trust_of_files(roots(64)).roots.size(), 64U);
  EXPECT_ERROR(Malformed, "more than 64 files", trust_of_files(roots(65)));
  const qpcseal::testing::TempFolder folder;
  for (const auto& [name, bytes] : roots(64)) write_file(folder / name, bytes, Existing::Refuse);
  EXPECT_EQ(read_trust(folder.path()).roots.size(), 64U);
  write_file(folder / "more.txt", Bytes(65537), Existing::Refuse);  // and is not read
  EXPECT_ERROR(Malformed, folder.path().string() + ": more than 64 files", read_trust(folder.path()));
  EXPECT_ERROR(Io, "gone", read_trust(folder / "gone"));
}

TEST_F(TrustFiles, HaveADigestOfKindNameAndContent) {
  const Trust one = trust_of_files({{"a.der", root}, {"b.crl", crl}});
  EXPECT_EQ(one.digest, digest_of(one));
  Trust other = one;
  other.roots[0].name = "c.der";
  EXPECT_NE(digest_of(other), one.digest);
  other = one;
  other.crls[0].der.back() ^= 1;
  EXPECT_NE(digest_of(other), one.digest);
  other = one;
  other.roots.push_back(other.crls[0]);
  other.crls.clear();
  EXPECT_NE(digest_of(other), one.digest) << "a list is no root";
}

}  // namespace
}  // namespace qpcseal::trust
