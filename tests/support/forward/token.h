// SPDX-License-Identifier: Apache-2.0
// The real module in the server's process: each carried call made upon it, with that call's faults.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "tests/support/forward/faults.h"
#include "tests/support/forward/marshal.h"

namespace qpcseal::forward {

// A mechanism in use by a session. The module may read its parameter, or write a GCM IV to it, until the
// operation ends.
struct Operation {
  std::unique_ptr<Mechanism> mechanism;
  Bytes told_iv;  // what the caller has in its buffer
};

class Token {
 public:
  explicit Token(CK_FUNCTION_LIST* module) : module_(module) {}
  [[nodiscard]] CK_FUNCTION_LIST& module() { return *module_; }
  // Makes the call; its results are appended to `out`. C_Initialize and C_Finalize are the server's own
  // matter.
  CK_RV perform(Fn fn, const Faults& faults, Reader& in, Writer& out);

  void keep(CK_SESSION_HANDLE session, std::shared_ptr<Operation> operation);
  std::shared_ptr<Operation> operation_of(CK_SESSION_HANDLE session);
  void forget_operations();

 private:
  CK_FUNCTION_LIST* module_;
  std::mutex mutex_;
  std::map<CK_SESSION_HANDLE, std::shared_ptr<Operation>> operations_;
};

// Each handler of a call: the arguments are in the reader.
using Handler = CK_RV (*)(Token&, const Faults&, Reader&, Writer&);
Handler token_handler(Fn fn);  // general, slots, sessions, objects; null for others
Handler key_handler(Fn fn);    // using and making keys; null for others

// A result buffer of T as the caller offered it: u8 present | u64 capacity, in elements.
template <typename T>
class Output {
 public:
  Output(Reader& in, const Faults& faults) : faults_(faults), has_(in.byte() != 0), capacity_(in.number()) {
    if (faults.has(FaultKind::Short)) has_ = false;
    if (has_) buffer_.resize(std::min<std::size_t>(capacity_, kMaxFrame / sizeof(T)) + 1);
    length_ = has_ ? buffer_.size() - 1 : 0;
    bound_ = length_;
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() {
    if (!buffer_.empty()) ::explicit_bzero(buffer_.data(), buffer_.size() * sizeof(T));
  }
  [[nodiscard]] bool has_buffer() const { return has_; }
  [[nodiscard]] T* data() { return has_ ? buffer_.data() : nullptr; }
  [[nodiscard]] CK_ULONG* length() { return &length_; }
  [[nodiscard]] CK_ULONG capacity() const { return bound_; }
  // Writes u64 length | blob, and gives the CK_RV that the caller shall see.
  CK_RV finish(CK_RV result, Writer& out) {
    const bool filled = has_ && result == CKR_OK && length_ <= bound_;
    if (result == CKR_OK && faults_.has(FaultKind::Short)) result = CKR_BUFFER_TOO_SMALL;
    put(filled, result == CKR_OK && faults_.has(FaultKind::Lie), out);
    return result;
  }
  void put(bool filled, bool lie, Writer& out) {
    out.number(lie ? faults_.argument(FaultKind::Lie).value_or(length_ + 65536) : length_);
    out.blob(filled ? buffer_.data() : nullptr, filled ? length_ * sizeof(T) : 0);
  }

 private:
  const Faults& faults_;
  bool has_;
  CK_ULONG capacity_, bound_ = 0, length_ = 0;
  std::vector<T> buffer_;
};

// A handle that was made, where it was.
inline CK_RV put_handle(CK_RV result, CK_ULONG handle, const Faults& faults, Writer& out) {
  if (result == CKR_OK)
    out.number(faults.has(FaultKind::Handle) ? faults.argument(FaultKind::Handle).value_or(0) : handle);
  return result;
}

}  // namespace qpcseal::forward
