// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/template.h"

#include <cstring>

namespace qpcseal::pkcs11 {

Template& Template::flag(CK_ATTRIBUTE_TYPE type, bool value) {
  items_.push_back({type, {static_cast<std::uint8_t>(value ? CK_TRUE : CK_FALSE)}});
  return *this;
}

Template& Template::number(CK_ATTRIBUTE_TYPE type, CK_ULONG value) { return numbers(type, {value}); }

Template& Template::numbers(CK_ATTRIBUTE_TYPE type, const std::vector<CK_ULONG>& values) {
  Bytes raw(values.size() * sizeof(CK_ULONG));
  std::memcpy(raw.data(), values.data(), raw.size());
  items_.push_back({type, std::move(raw)});
  return *this;
}

Template& Template::bytes(CK_ATTRIBUTE_TYPE type, ByteView value) {
  items_.push_back({type, copy(value)});
  return *this;
}

std::vector<CK_ATTRIBUTE> Template::attributes() {
  std::vector<CK_ATTRIBUTE> out;
  out.reserve(items_.size());
  for (Item& item : items_) out.push_back({item.type, item.value.data(), item.value.size()});
  return out;
}

}  // namespace qpcseal::pkcs11
