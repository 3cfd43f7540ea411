// SPDX-License-Identifier: Apache-2.0
// An enclave for tests: certificates as AWS names them, a session key, and attestation documents by them of
// scheme `aws-nitro`, good by default and wrong in any one place by choice.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/attest/test_card.h"

namespace qpcseal::testing {

inline constexpr const char* kTestModule = "i-0123456789abcdef0-enc0123456789abcdef";

// SubjectPublicKeyInfo, DER.
Bytes spki_of(EVP_PKEY* key);

class TestEnclave {
 public:
  TestEnclave();
  // Without certificates, keys and fields: for documents that nobody signs.
  [[nodiscard]] static TestEnclave empty() { return TestEnclave(Empty()); }
  Identity root, instance, leaf;
  KeyPtr session;  // P-384
  Bytes aud, nonce;
  std::vector<std::pair<std::string, Bytes>> fields;  // of the document, in their order; edit at will

  void set(const std::string& name, Bytes value);
  void remove(const std::string& name);
  void set_pcrs(const std::vector<std::pair<unsigned, Bytes>>& pcrs);
  [[nodiscard]] Bytes document() const;
  [[nodiscard]] Bytes report() const { return report_of(document()); }
  [[nodiscard]] Bytes report_of(ByteView document) const;
  // The root pinned, the time kTestNow, no CRLs.
  [[nodiscard]] attest::VerifyContext context() const;

 private:
  struct Empty {};
  explicit TestEnclave(Empty) {}
};

}  // namespace qpcseal::testing
