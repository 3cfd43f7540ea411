// SPDX-License-Identifier: Apache-2.0
#include "appliance/trust/trust_folder.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>

#include "attest/certpath.h"
#include "attest/crl_signer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text_file.h"

namespace qpcseal::trust {

namespace {

constexpr std::size_t kMaxFile = 65536, kMaxFiles = 64;

constexpr std::uint8_t kSequence = 0x30;  // with which DER of certificates and CRLs begins

// The one PEM block of type `type`, decoded, with whatever text stands before it; or the bytes themselves
// where there is no PEM armour.
Bytes unarmour(const Bytes& bytes, std::string_view type) {
  if (bytes.empty() || bytes.front() == kSequence) return bytes;
  refuse_wide_text(text_view(bytes));
  if (text_view(bytes).find("-----BEGIN ") == std::string_view::npos) return bytes;
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())), BIO_free);
  char *name = nullptr, *header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  if (PEM_read_bio(bio.get(), &name, &header, &data, &size) != 1)
    throw Error(ErrorKind::Malformed, "broken PEM");
  const Bytes out(data, data + size);
  const bool right = name == type && *header == '\0';
  OPENSSL_free(name);
  OPENSSL_free(header);
  OPENSSL_free(data);
  if (!right) throw Error(ErrorKind::Malformed, "the PEM block is not a " + std::string(type));
  if (PEM_read_bio(bio.get(), &name, &header, &data, &size) == 1) {
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    throw Error(ErrorKind::Malformed, "more than one PEM block", "one certificate or CRL a file");
  }
  return out;
}

// Whole and only one DER item of the kind.
template <typename Item>
void require_der(const Bytes& der, Item* (*decode)(Item**, const unsigned char**, long),
                 void (*release)(Item*), const char* what) {
  const unsigned char* at = der.data();
  Item* item = decode(nullptr, &at, static_cast<long>(der.size()));
  const bool whole = item != nullptr && at == der.data() + der.size();
  release(item);
  if (!whole) throw Error(ErrorKind::Malformed, std::string("not a ") + what);
}

// FAT gives names in capitals.
std::string extension_of(const std::string& name) {
  std::string out = std::filesystem::path(name).extension();
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

void add_file(Trust& trust, const std::string& name, const Bytes& bytes) {
  const std::string extension = extension_of(name);
  if (extension == ".crl") {
    Bytes der = unarmour(bytes, PEM_STRING_X509_CRL);
    require_der<X509_CRL>(der, d2i_X509_CRL, X509_CRL_free, "CRL");
    trust.crls.push_back({name, std::move(der)});
  } else if (extension == ".pem" || extension == ".crt" || extension == ".cer" || extension == ".der") {
    Bytes der = unarmour(bytes, PEM_STRING_X509);
    require_der<X509>(der, d2i_X509, X509_free, "certificate");
    trust.roots.push_back({name, std::move(der)});
  } else {
    throw Error(ErrorKind::Malformed, "neither a certificate (.pem .crt .cer .der) nor a CRL (.crl)");
  }
}

}  // namespace

Sha256Digest digest_of(const Trust& trust) {
  Bytes text;
  const auto add = [&](std::string_view kind, const TrustFile& file) {
    append_lp16(text, view(kind));
    append_lp16(text, view(file.name));
    append(text, sha256(file.der));
  };
  for (const auto& root : trust.roots) add("root", root);
  for (const auto& crl : trust.crls) add("crl", crl);
  return sha256(text);
}

Trust read_trust(const std::filesystem::path& dir) {
  std::error_code failed;
  std::vector<std::filesystem::path> paths;
  for (const auto& item : std::filesystem::directory_iterator(dir, failed)) paths.push_back(item.path());
  if (failed) throw Error(ErrorKind::Io, dir.string() + ": " + failed.message());
  if (paths.size() > kMaxFiles) throw Error(ErrorKind::Malformed, dir.string() + ": more than 64 files");
  std::map<std::string, Bytes> files;
  for (const auto& path : paths) files[path.filename()] = read_file(path, kMaxFile);
  return with_context(dir.string(), [&] { return trust_of_files(files); });
}

Trust trust_of_files(const std::map<std::string, Bytes>& files) {
  if (files.size() > kMaxFiles) throw Error(ErrorKind::Malformed, "more than 64 files");
  Trust trust;
  for (const auto& [name, bytes] : files) with_context(name, [&] { add_file(trust, name, bytes); });
  if (trust.roots.empty()) throw Error(ErrorKind::Malformed, "it holds no root certificate");
  trust.digest = digest_of(trust);
  return trust;
}

void check_root(const Bytes& der) { static_cast<void>(attest::parse_certificate(der)); }

void check_crl(const Bytes& der) { static_cast<void>(attest::read_crl(der)); }

std::vector<Bytes> ders(const std::vector<TrustFile>& files) {
  std::vector<Bytes> out;
  for (const TrustFile& file : files) out.push_back(file.der);
  return out;
}

void check_crls(const Trust& trust) {
  for (const TrustFile& crl : trust.crls) with_context(crl.name, [&] { check_crl(crl.der); });
  const std::vector<Bytes> crls = ders(trust.crls);
  attest::check_lists(crls);
  attest::refuse_forged(crls, ders(trust.roots));
}

std::string describe_root(const Bytes& der) {
  const CertPtr root = attest::parse_certificate(der);
  char text[256];
  X509_NAME_oneline(X509_get_subject_name(root.get()), text, sizeof text);
  return text;
}

std::string describe_crl(const Bytes& der) {
  const attest::CrlInfo crl = attest::read_crl(der);
  return "of " + crl.issuer_text + ", number 0x" + to_hex(crl.number) + ", from " +
         format_time(crl.this_update) + ", next by " + format_time(crl.next_update);
}

}  // namespace qpcseal::trust
