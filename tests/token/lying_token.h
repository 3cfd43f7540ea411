// SPDX-License-Identifier: Apache-2.0
// A token that does what it is asked and says something else: three calls of a loaded module, whose answers a
// test changes. One at a time, since a module is of the whole process.
#pragma once

#include <cstring>
#include <functional>
#include <utility>

#include "tests/support/tokens.h"

namespace qpcseal::testing {

class LyingToken {
 public:
  // Changes an answer; nothing: the token has none.
  using Lie = std::function<std::optional<Bytes>(Bytes answer)>;

  explicit LyingToken(TestToken& token)
      : calls_(const_cast<CK_FUNCTION_LIST&>(token.module().calls())), honest_(calls_) {
    current() = this;
    calls_.C_WrapKey = wrap_key;
    calls_.C_Sign = sign;
    calls_.C_GetAttributeValue = get_attribute_value;
  }
  ~LyingToken() {
    calls_ = honest_;
    current() = nullptr;
  }
  LyingToken(const LyingToken&) = delete;
  LyingToken& operator=(const LyingToken&) = delete;

  Lie wrapped, signature;                            // of C_WrapKey and C_Sign; they always answer
  CK_ATTRIBUTE_TYPE attribute = CKA_VENDOR_DEFINED;  // whose value `value` changes
  Lie value;

  // An answer without its last byte; with its last bit changed; none.
  static std::optional<Bytes> cut(Bytes answer) {
    answer.pop_back();
    return answer;
  }
  static std::optional<Bytes> changed(Bytes answer) {
    answer.back() ^= 1;
    return answer;
  }
  static std::optional<Bytes> none(const Bytes&) { return std::nullopt; }

 private:
  static LyingToken*& current() {
    static LyingToken* one = nullptr;
    return one;
  }
  // No answer becomes longer: the caller's buffer has the honest one.
  static CK_RV answer(CK_RV result, const Lie& lie, CK_BYTE_PTR out, CK_ULONG_PTR size) {
    if (result != CKR_OK || !lie || out == nullptr) return result;
    const Bytes told = lie(Bytes(out, out + *size)).value();
    std::memcpy(out, told.data(), told.size());
    *size = told.size();
    return result;
  }
  static CK_RV wrap_key(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE wrapping,
                        CK_OBJECT_HANDLE key, CK_BYTE_PTR out, CK_ULONG_PTR size) {
    return answer(current()->honest_.C_WrapKey(session, mechanism, wrapping, key, out, size),
                  current()->wrapped, out, size);
  }
  static CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG data_size, CK_BYTE_PTR out,
                    CK_ULONG_PTR size) {
    return answer(current()->honest_.C_Sign(session, data, data_size, out, size), current()->signature, out,
                  size);
  }
  static CK_RV get_attribute_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                   CK_ATTRIBUTE_PTR wanted, CK_ULONG count) {
    const CK_RV result = current()->honest_.C_GetAttributeValue(session, object, wanted, count);
    if (result != CKR_OK || count != 1 || wanted->type != current()->attribute || !current()->value)
      return result;
    if (wanted->pValue == nullptr && current()->value(Bytes(wanted->ulValueLen))) return result;
    const auto* bytes = static_cast<const std::uint8_t*>(wanted->pValue);
    const auto told =
        bytes == nullptr ? std::nullopt : current()->value(Bytes(bytes, bytes + wanted->ulValueLen));
    if (!told) {
      wanted->ulValueLen = CK_UNAVAILABLE_INFORMATION;
      return CKR_ATTRIBUTE_TYPE_INVALID;
    }
    std::memcpy(wanted->pValue, told->data(), told->size());
    wanted->ulValueLen = told->size();
    return result;
  }

  CK_FUNCTION_LIST& calls_;
  CK_FUNCTION_LIST honest_;
};

}  // namespace qpcseal::testing
