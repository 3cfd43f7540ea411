// SPDX-License-Identifier: Apache-2.0
#include "tests/support/forward/marshal.h"

namespace qpcseal::forward {
namespace {

enum Form : std::uint8_t { kNone, kRaw, kGcm, kEcdh, kString, kOaep, kEddsa };
constexpr unsigned kMaxDepth = 3;
constexpr CK_ULONG kMaxAttributes = 1024;

template <typename Parameter>
const Parameter* as(const CK_MECHANISM& mechanism) {
  if (mechanism.pParameter == nullptr || mechanism.ulParameterLen != sizeof(Parameter)) return nullptr;
  return static_cast<const Parameter*>(mechanism.pParameter);
}

void put(Writer& out, const CK_GCM_PARAMS& gcm) {
  out.byte(kGcm).blob(gcm.pIv, gcm.ulIvLen).number(gcm.ulIvBits);
  out.blob(gcm.pAAD, gcm.ulAADLen).number(gcm.ulTagBits);
}

void put(Writer& out, const CK_ECDH1_DERIVE_PARAMS& ecdh) {
  out.byte(kEcdh).number(ecdh.kdf).blob(ecdh.pSharedData, ecdh.ulSharedDataLen);
  out.blob(ecdh.pPublicData, ecdh.ulPublicDataLen);
}

void put(Writer& out, const CK_KEY_DERIVATION_STRING_DATA& data) {
  out.byte(kString).blob(data.pData, data.ulLen);
}

void put(Writer& out, const CK_RSA_PKCS_OAEP_PARAMS& oaep) {
  out.byte(kOaep).number(oaep.hashAlg).number(oaep.mgf).number(oaep.source);
  out.blob(oaep.pSourceData, oaep.ulSourceDataLen);
}

void put(Writer& out, const EddsaParameters& eddsa) {
  out.byte(kEddsa).byte(eddsa.prehashed).blob(eddsa.context, eddsa.context_size);
}

template <typename Parameter>
bool put_as(Writer& out, const CK_MECHANISM& mechanism) {
  const auto* parameter = as<Parameter>(mechanism);
  if (parameter != nullptr) put(out, *parameter);
  return parameter != nullptr;
}

bool put_known(Writer& out, const CK_MECHANISM& mechanism) {
  switch (mechanism.mechanism) {
    case CKM_AES_GCM:
      return put_as<CK_GCM_PARAMS>(out, mechanism);
    case CKM_ECDH1_DERIVE:
    case CKM_ECDH1_COFACTOR_DERIVE:
      return put_as<CK_ECDH1_DERIVE_PARAMS>(out, mechanism);
    case CKM_AES_ECB_ENCRYPT_DATA:
    case CKM_CONCATENATE_BASE_AND_DATA:
      return put_as<CK_KEY_DERIVATION_STRING_DATA>(out, mechanism);
    case CKM_RSA_PKCS_OAEP:
      return put_as<CK_RSA_PKCS_OAEP_PARAMS>(out, mechanism);
    case CKM_EDDSA:
      return put_as<EddsaParameters>(out, mechanism);
    default:
      return false;
  }
}

// Parameters that hold pointers, of kinds that nothing here uses.
bool is_foreign(const CK_MECHANISM& mechanism) {
  const bool has_parameter = mechanism.pParameter != nullptr && mechanism.ulParameterLen > 0;
  switch (mechanism.mechanism) {
    case CKM_AES_CBC_ENCRYPT_DATA:
    case CKM_AES_CCM:
      return has_parameter;
    default:
      return false;
  }
}

}  // namespace

bool put_mechanism(Writer& out, const CK_MECHANISM* mechanism) {
  out.byte(mechanism != nullptr ? 1 : 0);
  if (mechanism == nullptr) return true;
  if (is_foreign(*mechanism)) return false;
  out.number(mechanism->mechanism);
  if (put_known(out, *mechanism)) return true;
  if (mechanism->pParameter == nullptr) {
    out.byte(kNone).number(mechanism->ulParameterLen);
    return true;
  }
  out.byte(kRaw).blob(mechanism->pParameter, mechanism->ulParameterLen);
  return true;
}

Mechanism::Mechanism(Reader& in) : present_(in.byte() != 0) {
  if (!present_) return;
  value_.mechanism = in.number();
  switch (in.byte()) {
    case kNone:
      value_.ulParameterLen = in.number();
      break;
    case kRaw:
      first_ = in.blob();
      value_.pParameter = first_.pointer();
      value_.ulParameterLen = first_.length;
      break;
    case kGcm:
      read_gcm(in);
      break;
    case kEcdh:
      read_ecdh(in);
      break;
    case kString:
      read_string(in);
      break;
    case kOaep:
      read_oaep(in);
      break;
    case kEddsa:
      read_eddsa(in);
      break;
    default:
      throw WireError("unknown form of a mechanism's parameter");
  }
}

void Mechanism::read_gcm(Reader& in) {
  is_gcm_ = true;
  first_ = in.blob();
  gcm_.pIv = first_.pointer();
  gcm_.ulIvLen = first_.length;
  gcm_.ulIvBits = in.number();
  second_ = in.blob();
  gcm_.pAAD = second_.pointer();
  gcm_.ulAADLen = second_.length;
  gcm_.ulTagBits = in.number();
  use(gcm_);
}

void Mechanism::read_ecdh(Reader& in) {
  ecdh_.kdf = in.number();
  first_ = in.blob();
  second_ = in.blob();
  ecdh_.pSharedData = first_.pointer();
  ecdh_.ulSharedDataLen = first_.length;
  ecdh_.pPublicData = second_.pointer();
  ecdh_.ulPublicDataLen = second_.length;
  use(ecdh_);
}

void Mechanism::read_string(Reader& in) {
  first_ = in.blob();
  string_.pData = first_.pointer();
  string_.ulLen = first_.length;
  use(string_);
}

void Mechanism::read_oaep(Reader& in) {
  oaep_.hashAlg = in.number();
  oaep_.mgf = in.number();
  oaep_.source = in.number();
  first_ = in.blob();
  oaep_.pSourceData = first_.pointer();
  oaep_.ulSourceDataLen = first_.length;
  use(oaep_);
}

void Mechanism::read_eddsa(Reader& in) {
  eddsa_.prehashed = in.byte();
  first_ = in.blob();
  eddsa_.context = first_.pointer();
  eddsa_.context_size = first_.length;
  use(eddsa_);
}

bool holds_template(CK_ATTRIBUTE_TYPE type) {
  return type == CKA_WRAP_TEMPLATE || type == CKA_UNWRAP_TEMPLATE || type == CKA_DERIVE_TEMPLATE;
}

void put_template(Writer& out, const CK_ATTRIBUTE* attributes, CK_ULONG count) {
  out.byte(attributes != nullptr ? 1 : 0).number(count);
  if (attributes == nullptr) return;
  for (CK_ULONG i = 0; i < count; ++i) {
    const CK_ATTRIBUTE& attribute = attributes[i];
    out.number(attribute.type);
    if (holds_template(attribute.type) && attribute.pValue != nullptr) {
      const auto inner = attribute.ulValueLen / sizeof(CK_ATTRIBUTE);
      put_template(out, static_cast<const CK_ATTRIBUTE*>(attribute.pValue), inner);
    } else {
      out.blob(attribute.pValue, attribute.ulValueLen);
    }
  }
}

Template::Template(Reader& in, unsigned depth) : present_(in.byte() != 0), count_(in.number()) {
  if (!present_) return;
  if (count_ > kMaxAttributes || depth > kMaxDepth) throw WireError("the template is too large");
  attributes_.reserve(count_ + 1);  // data() is not null for an empty one
  for (CK_ULONG i = 0; i < count_; ++i) {
    const CK_ATTRIBUTE_TYPE type = in.number();
    if (holds_template(type)) {
      auto& inner = nested_.emplace_back(std::make_unique<Template>(in, depth + 1));
      const CK_ULONG unit = inner->data() != nullptr ? sizeof(CK_ATTRIBUTE) : 1;
      attributes_.push_back({type, inner->data(), inner->size() * unit});
    } else {
      auto& value = values_.emplace_back(in.blob());
      attributes_.push_back({type, value.pointer(), value.length});
    }
  }
}

Template::~Template() {
  for (auto& value : values_) wipe(value.data);
}

}  // namespace qpcseal::forward
