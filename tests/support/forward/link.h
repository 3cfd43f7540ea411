// SPDX-License-Identifier: Apache-2.0
// The module's end of the line: one connection a thread, opened on the thread's first call. A connection that
// breaks means that the token has gone: every later call gives CKR_DEVICE_REMOVED until C_Finalize and a new
// C_Initialize.
#pragma once

#include <string>

#include "tests/support/forward/marshal.h"

namespace qpcseal::forward {

// One call: the arguments are appended, then run() sends them and gives the results to `take` whatever the
// CK_RV was (a reply carries no results where the server had none to give).
class Call {
 public:
  explicit Call(Fn fn);
  Call& number(CK_ULONG value);
  Call& blob(const void* data, CK_ULONG size);
  Call& mechanism(const CK_MECHANISM* mechanism);
  Call& attributes(const CK_ATTRIBUTE* attributes, CK_ULONG count);
  // Where results of a size the caller bounds will go: whether there is a buffer, and its capacity.
  Call& room(const void* buffer, const CK_ULONG* capacity);

  CK_RV run() {
    return run([](Reader&) {});
  }
  template <typename Take>
  CK_RV run(Take&& take) {
    Reader reply;
    const CK_RV result = exchange(reply);
    try {
      if (reply.remaining() > 0) take(reply);
    } catch (const WireError&) {
      return CKR_DEVICE_ERROR;
    }
    return result;
  }

 private:
  CK_RV exchange(Reader& reply);
  template <typename Act>
  Call& guarded(Act&& act);
  Writer request_;
  CK_RV refused_ = CKR_OK;
};

// Results: the length is told as the server gives it, the bytes never exceed the caller's capacity.
void take_bytes(Reader& reply, CK_BYTE* out, CK_ULONG* length);
void take_numbers(Reader& reply, CK_ULONG* out, CK_ULONG* count);

// The process-wide state that PKCS#11 asks a module to have.
// `path` is the server's socket.
CK_RV open_line(const std::string& path);
CK_RV close_line();

}  // namespace qpcseal::forward
