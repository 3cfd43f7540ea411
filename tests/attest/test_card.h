// SPDX-License-Identifier: Apache-2.0
// A card for tests: a root, an issuing certificate, a leaf, a session key, and reports by them of scheme
// `eat-card`, good by default and wrong in any one place by choice.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "attest/scheme.h"
#include "tests/attest/test_certificates.h"

namespace qpcseal::testing {

// Encoded key -> encoded value: a map in the order that deterministic CBOR wants.
using EncodedMap = std::map<Bytes, Bytes>;
Bytes cbor_int(std::int64_t value);
Bytes cbor_text(std::string_view value);
Bytes cbor_bytes(ByteView value);
Bytes cbor_bool(bool value);
Bytes cbor_array(const std::vector<Bytes>& items);
Bytes cbor_map(const EncodedMap& map);

// One measured component in EAT form.
Bytes encode_measurement(const attest::Measurement& measurement);
attest::Measurement sample_measurement(std::string name, std::uint8_t fill, std::optional<std::uint64_t> svn);

// COSE_Key members of an EC or RSA public key.
EncodedMap cose_key(EVP_PKEY* key);

class TestCard {
 public:
  TestCard();
  Identity root, issuer, leaf;
  KeyPtr session;  // P-256
  Bytes ueid, aud, nonce;
  EncodedMap claims;            // the payload; edit at will
  EncodedMap protected_header;  // alg, content type, x5chain of leaf and issuer

  void set(std::int64_t key, Bytes value) { claims[cbor_int(key)] = std::move(value); }
  void remove(std::int64_t key) { claims.erase(cbor_int(key)); }
  void set_session_key(EVP_PKEY* key);
  void set_chain(const std::vector<Bytes>& chain);
  // Signs `payload` (the claims where empty) with the leaf's key.
  [[nodiscard]] Bytes report() const { return report_of(cbor_map(claims)); }
  [[nodiscard]] Bytes report_of(ByteView payload) const;
  // The root pinned, the time kTestNow, no CRLs.
  [[nodiscard]] attest::VerifyContext context() const;
  // What its leaf's and its issuer's certificates were made of.
  [[nodiscard]] CertSpec leaf_spec() const;
  [[nodiscard]] static CertSpec issuer_spec();
};

// r || s over `bytes`, as COSE has it; the digest follows the curve.
Bytes sign_raw(EVP_PKEY* key, ByteView bytes);
// tag(tag([protected, unprotected, payload, signature])).
Bytes make_sign1(const std::vector<std::uint64_t>& tags, ByteView protected_header, ByteView unprotected,
                 ByteView payload, EVP_PKEY* key, ByteView external_aad = {});

}  // namespace qpcseal::testing
