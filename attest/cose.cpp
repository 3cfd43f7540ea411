// SPDX-License-Identifier: Apache-2.0
#include "attest/cose.h"

#include <algorithm>
#include <array>
#include <string>

namespace qpcseal::attest {
namespace {

constexpr std::int64_t kAlgorithm = 1;
constexpr std::int64_t kCritical = 2;
constexpr std::int64_t kContentType = 3;
constexpr std::int64_t kX5Chain = 33;
constexpr int kMinRsaBits = 2048;  // RFC 8230 section 2

struct AlgorithmRow {
  CoseAlgorithm algorithm;
  std::string_view name, digest;
  std::string_view curve;  // empty: RSASSA-PSS, MGF1 with the same digest, a salt of the digest's size
  std::size_t field;       // bytes of r and of s
};
constexpr std::array kAlgorithms = {
    AlgorithmRow{CoseAlgorithm::Es256, "ES256", "SHA256", SN_X9_62_prime256v1, 32},
    AlgorithmRow{CoseAlgorithm::Es384, "ES384", "SHA384", SN_secp384r1, 48},
    AlgorithmRow{CoseAlgorithm::Es512, "ES512", "SHA512", SN_secp521r1, 66},
    AlgorithmRow{CoseAlgorithm::Ps256, "PS256", "SHA256", "", 0},
    AlgorithmRow{CoseAlgorithm::Ps384, "PS384", "SHA384", "", 0},
    AlgorithmRow{CoseAlgorithm::Ps512, "PS512", "SHA512", "", 0},
};

const AlgorithmRow& row_of(CoseAlgorithm algorithm) {
  return *std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                       [&](const AlgorithmRow& row) { return row.algorithm == algorithm; });
}

[[noreturn]] void refuse(const std::string& why) { throw Error(ErrorKind::Malformed, "COSE_Sign1: " + why); }

template <typename T>
bool contains(const std::vector<T>& list, T item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

const cbor::Value& untag(const cbor::Value& message, const std::vector<std::uint64_t>& tags) {
  const cbor::Value* at = &message;
  for (const std::uint64_t tag : tags) {
    if (!at->is(cbor::Type::Tag) || at->tag_number("tag") != tag) {
      refuse("CBOR tag " + std::to_string(tag) + " is missing");
    }
    at = &at->tagged("tag");
  }
  if (at->is(cbor::Type::Tag)) refuse("unexpected CBOR tag " + std::to_string(at->tag_number("tag")));
  return *at;
}

// Every label of a bucket must be an integer that the profile names.
void check_labels(const cbor::Value& bucket, const std::vector<std::int64_t>& allowed,
                  std::string_view name) {
  for (const auto& [label, value] : bucket.as_map(name)) {
    if (label.is(cbor::Type::Text)) refuse(std::string(name) + " has a text label");
    const std::int64_t number = label.as_int(name);
    if (number == kCritical) refuse("critical headers (crit) are not supported");
    if (!contains(allowed, number)) {
      refuse(std::string(name) + " has the unexpected label " + std::to_string(number));
    }
  }
}

void refuse_shared_labels(const cbor::Value& protected_map, const cbor::Value& unprotected_map) {
  for (const auto& [label, value] : unprotected_map.as_map("unprotected header")) {
    if (protected_map.find(label.as_int("label")) != nullptr) refuse("a label stands in both headers");
  }
}

CoseAlgorithm read_algorithm(const cbor::Value& header, const std::vector<CoseAlgorithm>& allowed) {
  const cbor::Value* value = header.find(kAlgorithm);
  if (value == nullptr) refuse("the protected header names no algorithm");
  const auto algorithm = static_cast<CoseAlgorithm>(value->as_int("COSE_Sign1: alg"));
  if (!contains(allowed, algorithm)) {
    refuse("algorithm " + std::to_string(static_cast<std::int64_t>(algorithm)) + " is not accepted");
  }
  return algorithm;
}

std::vector<ByteView> read_x5chain(const cbor::Value& header) {
  const cbor::Value* value = header.find(kX5Chain);
  if (value == nullptr) return {};
  if (value->is(cbor::Type::ByteString)) return {value->as_bytes("x5chain")};
  std::vector<ByteView> chain;
  for (const cbor::Value& item : value->as_array("x5chain")) chain.push_back(item.as_bytes("x5chain"));
  if (chain.empty()) refuse("x5chain is empty");
  return chain;
}

// r || s to the DER form that OpenSSL verifies.
Bytes to_der(ByteView signature, std::size_t field) {
  const EcdsaSignaturePtr pair(made(ECDSA_SIG_new(), "ECDSA_SIG_new"));
  NumberPtr r(made(BN_bin2bn(signature.data(), static_cast<int>(field), nullptr), "BN_bin2bn"));
  NumberPtr s(made(BN_bin2bn(signature.data() + field, static_cast<int>(field), nullptr), "BN_bin2bn"));
  if (ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) throw Error(ErrorKind::Internal, "ECDSA_SIG_set0");
  static_cast<void>(r.release());  // both belong to the pair now
  static_cast<void>(s.release());
  const int size = i2d_ECDSA_SIG(pair.get(), nullptr);
  if (size <= 0) throw Error(ErrorKind::Internal, "i2d_ECDSA_SIG failed");
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* out = der.data();
  i2d_ECDSA_SIG(pair.get(), &out);
  return der;
}

bool suits(const EVP_PKEY* key, const AlgorithmRow& row) {
  if (!row.curve.empty()) return curve_name(key) == row.curve;
  return key != nullptr && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) >= kMinRsaBits;
}

// The signature as OpenSSL wants it; nothing where it does not have its full size.
std::optional<Bytes> openssl_form(ByteView signature, const EVP_PKEY* key, const AlgorithmRow& row) {
  if (!row.curve.empty()) {
    if (signature.size() != 2 * row.field) return std::nullopt;
    return to_der(signature, row.field);
  }
  if (signature.size() != static_cast<std::size_t>(EVP_PKEY_get_size(key))) return std::nullopt;
  return copy(signature);
}

void set_pss(EVP_PKEY_CTX* parameters) {
  if (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) != 1)
    throw Error(ErrorKind::Internal, "setting RSASSA-PSS failed");
}

}  // namespace

std::string_view to_string(CoseAlgorithm algorithm) { return row_of(algorithm).name; }

Sign1 parse_sign1(ByteView message, const CoseProfile& profile) {
  const cbor::Value whole = cbor::parse(message, profile.level, "COSE_Sign1");
  const auto& parts = untag(whole, profile.tags).as_array("COSE_Sign1");
  if (parts.size() != 4) refuse("expected 4 elements, found " + std::to_string(parts.size()));
  Sign1 out;
  out.protected_header = parts[0].as_bytes("COSE_Sign1: protected header");
  if (!parts[2].is(cbor::Type::ByteString)) refuse("the payload is detached or no byte string");
  out.payload = parts[2].as_bytes("COSE_Sign1: payload");
  out.signature = parts[3].as_bytes("COSE_Sign1: signature");
  const cbor::Value header = cbor::parse(out.protected_header, profile.level, "COSE_Sign1: protected header");
  check_labels(header, profile.protected_labels, "protected header");
  check_labels(parts[1], profile.unprotected_labels, "unprotected header");
  refuse_shared_labels(header, parts[1]);
  out.algorithm = read_algorithm(header, profile.algorithms);
  const cbor::Value* type = header.find(kContentType);
  if (type != nullptr && type->is(cbor::Type::Unsigned)) out.content_type = type->as_unsigned("content type");
  out.x5chain = read_x5chain(header);
  return out;
}

Bytes sig_structure(const Sign1& message, ByteView external_aad) {
  cbor::Writer writer;
  writer.array(4)
      .text("Signature1")
      .bytes(message.protected_header)
      .bytes(external_aad)
      .bytes(message.payload);
  return writer.take();
}

bool verify_sign1(const Sign1& message, EVP_PKEY* key, ByteView external_aad) {
  const AlgorithmRow& row = row_of(message.algorithm);
  if (!suits(key, row)) return false;
  const std::optional<Bytes> signature = openssl_form(message.signature, key, row);
  if (!signature) return false;
  const Bytes signed_bytes = sig_structure(message, external_aad);
  const DigestContextPtr context(made(EVP_MD_CTX_new(), "EVP_MD_CTX_new"));
  const std::string digest(row.digest);
  EVP_PKEY_CTX* parameters = nullptr;  // the digest context's
  if (EVP_DigestVerifyInit_ex(context.get(), &parameters, digest.c_str(), nullptr, nullptr, key, nullptr) !=
      1) {
    throw Error(ErrorKind::Internal, "EVP_DigestVerifyInit_ex failed");
  }
  if (row.curve.empty()) set_pss(parameters);
  const bool good = EVP_DigestVerify(context.get(), signature->data(), signature->size(), signed_bytes.data(),
                                     signed_bytes.size()) == 1;
  ERR_clear_error();
  return good;
}

}  // namespace qpcseal::attest
