// SPDX-License-Identifier: Apache-2.0
#include "device/card/certificates.h"

#include "base/random.h"
#include "device/card/keys.h"

namespace qpcseal::device {
namespace {

using BioPtr = Owned<BIO, BIO_free_all>;
using ExtensionPtr = Owned<X509_EXTENSION, X509_EXTENSION_free>;

constexpr UnixTime kDay = 86400;
constexpr std::size_t kSerialSize = 16;

struct Spec {
  std::string common_name, serial_number;  // serial_number: of the subject; empty: none
  const char* constraints;
  const char* usage;
  UnixTime lifetime;  // seconds
};

void check(int result, const char* call) {
  if (result <= 0) throw Error(ErrorKind::Internal, std::string(call) + " failed");
}

void add_name(X509_NAME* name, const char* field, const std::string& text) {
  const ByteView bytes = view(text);
  check(X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC, bytes.data(), static_cast<int>(bytes.size()),
                                   -1, 0),
        "X509_NAME_add_entry_by_txt");
}

void add_extension(X509* certificate, X509* issuer, int nid, const char* text) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(
      made(X509V3_EXT_conf_nid(nullptr, &context, nid, text), "X509V3_EXT_conf_nid"));
  check(X509_add_ext(certificate, extension.get(), -1), "X509_add_ext");
}

void set_serial(X509* certificate) {
  Bytes bytes = SystemRandom().bytes(kSerialSize);
  bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0x3fU) | 0x40U);  // positive, and always of full size
  const NumberPtr number(made(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr), "BN_bin2bn"));
  const AsnNumberPtr serial(made(BN_to_ASN1_INTEGER(number.get(), nullptr), "BN_to_ASN1_INTEGER"));
  check(X509_set_serialNumber(certificate, serial.get()), "X509_set_serialNumber");
}

void set_times(X509* certificate, UnixTime from, UnixTime until) {
  made(ASN1_TIME_set(X509_getm_notBefore(certificate), from), "ASN1_TIME_set");
  made(ASN1_TIME_set(X509_getm_notAfter(certificate), until), "ASN1_TIME_set");
}

Identity make_identity(const Spec& spec, UnixTime now, const Identity* issuer) {
  Identity out{make_ec_key("P-384"), CertPtr(made(X509_new(), "X509_new"))};
  X509* certificate = out.certificate.get();
  X509* signer = issuer != nullptr ? issuer->certificate.get() : certificate;
  check(X509_set_version(certificate, X509_VERSION_3), "X509_set_version");
  set_serial(certificate);
  set_times(certificate, now - kDay, now + spec.lifetime);
  add_name(X509_get_subject_name(certificate), "CN", spec.common_name);
  if (!spec.serial_number.empty())
    add_name(X509_get_subject_name(certificate), "serialNumber", spec.serial_number);
  check(X509_set_issuer_name(certificate, X509_get_subject_name(signer)), "X509_set_issuer_name");
  check(X509_set_pubkey(certificate, out.key.get()), "X509_set_pubkey");
  add_extension(certificate, signer, NID_basic_constraints, spec.constraints);
  add_extension(certificate, signer, NID_key_usage, spec.usage);
  add_extension(certificate, signer, NID_subject_key_identifier, "hash");
  if (issuer != nullptr) add_extension(certificate, signer, NID_authority_key_identifier, "keyid:always");
  EVP_PKEY* signing_key = issuer != nullptr ? issuer->key.get() : out.key.get();
  check(X509_sign(certificate, signing_key, EVP_sha384()), "X509_sign");
  return out;
}

Bytes der_of(const Identity& identity) {
  const int size = i2d_X509(identity.certificate.get(), nullptr);
  check(size, "i2d_X509");
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* at = der.data();
  i2d_X509(identity.certificate.get(), &at);
  return der;
}

}  // namespace

Vendor make_vendor(UnixTime now) {
  constexpr const char* kIssuing = "critical,keyCertSign,cRLSign";
  Vendor vendor;
  vendor.root = make_identity(
      {"Simulated card vendor root", "", "critical,CA:TRUE", kIssuing, kDay * 365 * 20}, now, nullptr);
  vendor.issuer = make_identity(
      {"Simulated card vendor issuing CA", "", "critical,CA:TRUE,pathlen:0", kIssuing, kDay * 365 * 15}, now,
      &vendor.root);
  return vendor;
}

CardIdentity make_card_identity(const Vendor& vendor, ByteView ueid, UnixTime now) {
  Identity leaf = make_identity(
      {"Simulated card", to_hex(ueid), "critical,CA:FALSE", "critical,digitalSignature", kDay * 365 * 10},
      now, &vendor.issuer);
  CardIdentity out;
  out.chain = {der_of(leaf), der_of(vendor.issuer), der_of(vendor.root)};
  out.key = std::move(leaf.key);
  return out;
}

std::string to_pem(const std::vector<Bytes>& certificates) {
  const BioPtr out(made(BIO_new(BIO_s_mem()), "BIO_new"));
  for (const Bytes& der : certificates) {
    const unsigned char* at = der.data();
    const CertPtr certificate(made(d2i_X509(nullptr, &at, static_cast<long>(der.size())), "d2i_X509"));
    check(PEM_write_bio_X509(out.get(), certificate.get()), "PEM_write_bio_X509");
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::vector<Bytes> parse_pem_chain(ByteView pem) {
  const BioPtr in(made(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), "BIO_new_mem_buf"));
  std::vector<Bytes> out;
  while (const CertPtr certificate{PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)}) {
    Bytes der(static_cast<std::size_t>(i2d_X509(certificate.get(), nullptr)));
    unsigned char* at = der.data();
    i2d_X509(certificate.get(), &at);
    out.push_back(std::move(der));
  }
  ERR_clear_error();
  if (out.empty()) throw Error(ErrorKind::Malformed, "no certificates in PEM");
  return out;
}

}  // namespace qpcseal::device
