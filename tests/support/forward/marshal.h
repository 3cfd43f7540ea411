// SPDX-License-Identifier: Apache-2.0
// Mechanisms and attribute templates as bytes and back. A mechanism's parameter with pointers in it is taken
// apart (GCM, ECDH, string data, OAEP, EdDSA); any other goes as its raw bytes.
#pragma once

#include <p11-kit/pkcs11.h>

#include <deque>
#include <memory>

#include "tests/support/forward/wire.h"

namespace qpcseal::forward {

// PKCS#11 3.0 section 2.3.7; the 2.40 header lacks it.
struct EddsaParameters {
  CK_BBOOL prehashed = CK_FALSE;
  CK_ULONG context_size = 0;
  CK_BYTE* context = nullptr;
};

// False where the parameter holds pointers of a kind that is not carried.
bool put_mechanism(Writer& out, const CK_MECHANISM* mechanism);

// A mechanism with all that it points to. Stays where it was made, because it points into itself.
class Mechanism {
 public:
  explicit Mechanism(Reader& in);
  Mechanism(const Mechanism&) = delete;
  Mechanism& operator=(const Mechanism&) = delete;
  [[nodiscard]] CK_MECHANISM* get() { return present_ ? &value_ : nullptr; }
  // The IV buffer of a GCM parameter, as the module may have changed it; null for others.
  [[nodiscard]] Bytes* gcm_iv() { return is_gcm_ && first_.present ? &first_.data : nullptr; }

 private:
  void read_gcm(Reader& in);
  void read_ecdh(Reader& in);
  void read_string(Reader& in);
  void read_oaep(Reader& in);
  void read_eddsa(Reader& in);
  template <typename Parameter>
  void use(Parameter& parameter) {
    value_.pParameter = &parameter;
    value_.ulParameterLen = sizeof parameter;
  }
  bool present_ = false, is_gcm_ = false;
  CK_MECHANISM value_{};
  Blob first_, second_;
  CK_GCM_PARAMS gcm_{};
  CK_ECDH1_DERIVE_PARAMS ecdh_{};
  CK_KEY_DERIVATION_STRING_DATA string_{};
  CK_RSA_PKCS_OAEP_PARAMS oaep_{};
  EddsaParameters eddsa_;
};

// Whether an attribute's value is itself a template of attributes.
bool holds_template(CK_ATTRIBUTE_TYPE type);

// Template with values, as the makers of objects take it. Nested templates included.
void put_template(Writer& out, const CK_ATTRIBUTE* attributes, CK_ULONG count);

class Template {
 public:
  explicit Template(Reader& in, unsigned depth = 0);
  Template(const Template&) = delete;
  Template& operator=(const Template&) = delete;
  ~Template();
  [[nodiscard]] CK_ATTRIBUTE* data() { return present_ ? attributes_.data() : nullptr; }
  [[nodiscard]] CK_ULONG size() const { return count_; }
  [[nodiscard]] std::vector<CK_ATTRIBUTE> attributes() const { return attributes_; }

 private:
  bool present_ = false;
  CK_ULONG count_ = 0;
  std::vector<CK_ATTRIBUTE> attributes_;
  std::deque<Blob> values_;
  std::deque<std::unique_ptr<Template>> nested_;
};

}  // namespace qpcseal::forward
