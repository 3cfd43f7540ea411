// SPDX-License-Identifier: Apache-2.0
// A SoftHSM2 token in a process of its own, and the module that forwards to it, for this folder's tests.
//
// A test of the real programs does the same by tests/cli/tokens.py: the module's path and the
// string "socket=PATH" become `module` and `module_arguments` of site.toml.
#pragma once

#include <sys/types.h>

#include "pkcs11/module.h"
#include "pkcs11/template.h"
#include "tests/support/tokens.h"

namespace qpcseal::testing {

inline constexpr const char* kSoftHsmModule = "/usr/lib/softhsm/libsofthsm2.so";
inline constexpr const char* kForwardModule = QPCSEAL_FORWARD_DIR "/libforward-token.so";
inline constexpr const char* kMemscan = QPCSEAL_FORWARD_DIR "/memscan";

struct Finished {
  int code = -1;  // -1: a signal ended it
  std::string output;
};
Finished run(const std::string& command);

// The other process. Its folder has the token, and the files that follow.
class ForwardServer {
 public:
  explicit ForwardServer(const std::string& faults = "");
  ~ForwardServer();
  ForwardServer(const ForwardServer&) = delete;
  ForwardServer& operator=(const ForwardServer&) = delete;

  void start();
  int stop();     // SIGTERM; the exit code
  int outcome();  // waits for an end of its own; the exit code
  void set_faults(const std::string& text) const;
  [[nodiscard]] pkcs11::Module module() const;  // the forwarding one, initialized
  [[nodiscard]] std::filesystem::path file(const char* name) const { return folder_.path() / name; }
  [[nodiscard]] std::filesystem::path recorded_keys() const { return file("keys"); }
  [[nodiscard]] std::string trace() const;

 private:
  TemporaryFolder folder_;
  pid_t process_ = -1;
};

// SoftHSM2 in this process, on the same token.
pkcs11::Module direct_module();

// A logged-in session by raw calls, so that a test sees each CK_RV.
class RawSession {
 public:
  explicit RawSession(const pkcs11::Module& module);
  const CK_FUNCTION_LIST* operator->() const { return &calls_; }
  [[nodiscard]] CK_SESSION_HANDLE handle() const { return handle_; }
  [[nodiscard]] CK_SLOT_ID slot() const { return slot_; }
  // Each throws Error{Token} where the call gives anything but CKR_OK.
  CK_OBJECT_HANDLE import_aes(ByteView value);
  CK_OBJECT_HANDLE find(const char* label);
  Bytes value_of(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type = CKA_VALUE);
  Bytes wrap(const CK_MECHANISM& mechanism, CK_OBJECT_HANDLE kek, CK_OBJECT_HANDLE key);
  Bytes gcm(CK_OBJECT_HANDLE key, ByteView plain, std::size_t piece = 0);  // 0: one call
  Bytes sign(CK_MECHANISM mechanism, CK_OBJECT_HANDLE key, ByteView data);

 private:
  const CK_FUNCTION_LIST& calls_;
  CK_SLOT_ID slot_ = 0;
  CK_SESSION_HANDLE handle_ = 0;
};

// The attributes of a generated AES-128 key that may be wrapped.
pkcs11::Template extractable_aes(std::string_view label);

}  // namespace qpcseal::testing
