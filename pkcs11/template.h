// SPDX-License-Identifier: Apache-2.0
// Attributes of an object, for searching and making (PKCS #11 section 4).
#pragma once

#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "pkcs11/calls.h"

namespace qpcseal::pkcs11 {

class Template {
 public:
  Template& flag(CK_ATTRIBUTE_TYPE type, bool value);
  Template& number(CK_ATTRIBUTE_TYPE type, CK_ULONG value);
  Template& numbers(CK_ATTRIBUTE_TYPE type, const std::vector<CK_ULONG>& values);
  Template& bytes(CK_ATTRIBUTE_TYPE type, ByteView value);
  Template& text(CK_ATTRIBUTE_TYPE type, std::string_view value) { return bytes(type, view(value)); }
  // Views into this object, for one call.
  [[nodiscard]] std::vector<CK_ATTRIBUTE> attributes();

 private:
  struct Item {
    CK_ATTRIBUTE_TYPE type;
    Bytes value;
  };
  std::vector<Item> items_;
};

}  // namespace qpcseal::pkcs11
