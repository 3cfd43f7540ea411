// SPDX-License-Identifier: Apache-2.0
#include "tests/attest/test_certificates.h"

#include <openssl/conf.h>

#include "base/random.h"

namespace qpcseal::testing {

namespace {

using ExtensionPtr = Owned<X509_EXTENSION, X509_EXTENSION_free>;
using TimePtr = Owned<ASN1_TIME, ASN1_TIME_free>;

void check(int result, const char* call) {
  if (result <= 0) throw Error(ErrorKind::Internal, std::string("test certificates: ") + call);
}

void add_name(X509_NAME* name, const char* field, const std::string& text) {
  check(X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC,
                                   static_cast<const unsigned char*>(static_cast<const void*>(text.data())),
                                   static_cast<int>(text.size()), -1, 0),
        "X509_NAME_add_entry_by_txt");
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& text) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Owned<CONF, NCONF_free> sections(made(NCONF_new(nullptr), "NCONF_new"));  // some extensions want it
  X509V3_set_nconf(&context, sections.get());
  const ExtensionPtr extension(
      made(X509V3_EXT_conf_nid(nullptr, &context, nid, text.c_str()), "X509V3_EXT_conf_nid"));
  check(X509_add_ext(certificate, extension.get(), -1), "X509_add_ext");
}

AsnNumberPtr random_serial() {
  Bytes bytes = SystemRandom().bytes(16);
  bytes[0] = 0x55;
  const NumberPtr number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  return AsnNumberPtr(made(BN_to_ASN1_INTEGER(number.get(), nullptr), "BN_to_ASN1_INTEGER"));
}

}  // namespace

KeyPtr make_ec_key(const char* curve) {
  return KeyPtr(made(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve), "EC keygen"));
}

KeyPtr make_explicit_ec_key(const char* curve) {
  KeyPtr key = make_ec_key(curve);
  check(EVP_PKEY_set_utf8_string_param(key.get(), OSSL_PKEY_PARAM_EC_ENCODING, "explicit"),
        "explicit encoding");
  return key;
}

KeyPtr make_rsa_key(unsigned bits) {
  return KeyPtr(made(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{bits}), "RSA keygen"));
}

Bytes point_of(EVP_PKEY* key) {
  std::size_t size = 0;
  check(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, nullptr, 0, &size), "public key size");
  Bytes point(size);
  check(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size(), &size),
        "public key");
  return point;
}

Bytes Identity::der() const {
  const int size = i2d_X509(certificate.get(), nullptr);
  check(size, "i2d_X509");
  Bytes out(static_cast<std::size_t>(size));
  unsigned char* at = out.data();
  i2d_X509(certificate.get(), &at);
  return out;
}

Identity make_identity(const CertSpec& spec, KeyPtr key, const Identity* issuer) {
  CertPtr certificate(made(X509_new(), "X509_new"));
  X509* cert = certificate.get();
  check(X509_set_version(cert, 2), "X509_set_version");
  check(X509_set_serialNumber(cert, random_serial().get()), "X509_set_serialNumber");
  add_name(X509_get_subject_name(cert), "CN", spec.common_name);
  if (spec.serial_number) add_name(X509_get_subject_name(cert), "serialNumber", *spec.serial_number);
  if (spec.serial_number_again)
    add_name(X509_get_subject_name(cert), "serialNumber", *spec.serial_number_again);
  X509* signer = issuer != nullptr ? issuer->certificate.get() : cert;
  check(X509_set_issuer_name(cert, X509_get_subject_name(signer)), "X509_set_issuer_name");
  ASN1_TIME_set(X509_getm_notBefore(cert), spec.not_before);
  ASN1_TIME_set(X509_getm_notAfter(cert), spec.not_after);
  check(X509_set_pubkey(cert, key.get()), "X509_set_pubkey");
  if (spec.basic_constraints) add_extension(cert, signer, NID_basic_constraints, *spec.basic_constraints);
  if (spec.key_usage) add_extension(cert, signer, NID_key_usage, *spec.key_usage);
  add_extension(cert, signer, NID_subject_key_identifier, "hash");
  if (issuer != nullptr) add_extension(cert, signer, NID_authority_key_identifier, "keyid:always");
  for (const auto& [nid, text] : spec.more) add_extension(cert, signer, nid, text);
  EVP_PKEY* signing_key = issuer != nullptr ? issuer->key.get() : key.get();
  check(X509_sign(cert, signing_key, EVP_get_digestbyname(spec.digest)), "X509_sign");
  return {std::move(key), std::move(certificate)};
}

namespace {

ExtensionPtr raw_extension(const RawExtension& spec) {
  const Owned<ASN1_OBJECT, ASN1_OBJECT_free> oid(made(OBJ_txt2obj(spec.oid, 1), "OBJ_txt2obj"));
  const Owned<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> value(made(ASN1_OCTET_STRING_new(), "octets"));
  check(ASN1_OCTET_STRING_set(value.get(), spec.value.data(), static_cast<int>(spec.value.size())), "octets");
  return ExtensionPtr(
      made(X509_EXTENSION_create_by_OBJ(nullptr, oid.get(), spec.critical ? 1 : 0, value.get()),
           "X509_EXTENSION_create_by_OBJ"));
}

void add_integer(X509_CRL* crl, int nid, long value, bool critical) {
  const AsnNumberPtr number(made(ASN1_INTEGER_new(), "ASN1_INTEGER_new"));
  ASN1_INTEGER_set(number.get(), value);
  check(X509_CRL_add1_ext_i2d(crl, nid, number.get(), critical ? 1 : 0, 0), "X509_CRL_add1_ext_i2d");
}

void add_entry(X509_CRL* crl, const Identity& revoked, const CrlSpec& spec, ASN1_TIME* from) {
  X509_REVOKED* entry = made(X509_REVOKED_new(), "X509_REVOKED_new");
  X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked.certificate.get()));
  X509_REVOKED_set_revocationDate(entry, from);
  if (spec.reason) {
    const Owned<ASN1_ENUMERATED, ASN1_ENUMERATED_free> reason(made(ASN1_ENUMERATED_new(), "reason"));
    ASN1_ENUMERATED_set(reason.get(), *spec.reason);
    check(X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason.get(), 0, 0), "reason");
  }
  for (const RawExtension& extension : spec.of_entries)
    check(X509_REVOKED_add_ext(entry, raw_extension(extension).get(), -1), "X509_REVOKED_add_ext");
  check(X509_CRL_add0_revoked(crl, entry), "X509_CRL_add0_revoked");
}

void sign(X509_CRL* crl, EVP_PKEY* key, const CrlSpec& spec) {
  const EVP_MD* digest = EVP_get_digestbyname(spec.digest);
  if (spec.pss == nullptr) return check(X509_CRL_sign(crl, key, digest), "X509_CRL_sign");
  const DigestContextPtr context(made(EVP_MD_CTX_new(), "EVP_MD_CTX_new"));
  EVP_PKEY_CTX* options = nullptr;
  check(EVP_DigestSignInit(context.get(), &options, digest, nullptr, key), "EVP_DigestSignInit");
  check(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING), "PSS");
  check(EVP_PKEY_CTX_set_rsa_mgf1_md(options, EVP_get_digestbyname(spec.pss)), "MGF1");
  check(X509_CRL_sign_ctx(crl, context.get()), "X509_CRL_sign_ctx");
}

}  // namespace

Bytes make_crl(const Identity& issuer, const CrlSpec& spec) {
  const CrlPtr crl(made(X509_CRL_new(), "X509_CRL_new"));
  check(X509_CRL_set_version(crl.get(), 1), "X509_CRL_set_version");
  check(X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(issuer.certificate.get())), "issuer name");
  const TimePtr from(ASN1_TIME_set(nullptr, spec.this_update));
  check(X509_CRL_set1_lastUpdate(crl.get(), from.get()), "lastUpdate");
  if (spec.next_update) {
    const TimePtr until(ASN1_TIME_set(nullptr, *spec.next_update));
    check(X509_CRL_set1_nextUpdate(crl.get(), until.get()), "nextUpdate");
  }
  for (const Identity* revoked : spec.revoked) add_entry(crl.get(), *revoked, spec, from.get());
  if (spec.number) add_integer(crl.get(), NID_crl_number, *spec.number, false);
  if (spec.base) add_integer(crl.get(), NID_delta_crl, *spec.base, true);
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer.certificate.get(), nullptr, nullptr, crl.get(), 0);
  const ExtensionPtr akid(
      made(X509V3_EXT_conf_nid(nullptr, &context, NID_authority_key_identifier, "keyid:always"), "AKID"));
  check(X509_CRL_add_ext(crl.get(), akid.get(), -1), "X509_CRL_add_ext");
  for (const auto& [nid, text] : spec.more) {
    const ExtensionPtr extension(
        made(X509V3_EXT_conf_nid(nullptr, &context, nid, text.c_str()), "CRL extension"));
    check(X509_CRL_add_ext(crl.get(), extension.get(), -1), "X509_CRL_add_ext");
  }
  for (const RawExtension& extension : spec.raw)
    check(X509_CRL_add_ext(crl.get(), raw_extension(extension).get(), -1), "X509_CRL_add_ext");
  sign(crl.get(), issuer.key.get(), spec);
  Bytes out(static_cast<std::size_t>(i2d_X509_CRL(crl.get(), nullptr)));
  unsigned char* at = out.data();
  i2d_X509_CRL(crl.get(), &at);
  return out;
}

}  // namespace qpcseal::testing
