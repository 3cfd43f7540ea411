// SPDX-License-Identifier: Apache-2.0
// A PKCS #11 module: named by absolute path, its file's digest pinned, initialized once. The file is opened
// once, and what was hashed is what is loaded: by the same descriptor (/proc/self/fd/N), so that nobody can
// exchange it in between. Modules find their neighbours all the same: SoftHSM and NSS are tested; one that
// needs $ORIGIN wants LD_LIBRARY_PATH.
//
// It must be an object in main's scope: C_Finalize runs in the destructor, before main returns, because
// modules have crashed when finalized from exit handlers. The library is never unloaded.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "pkcs11/calls.h"

namespace qpcseal::pkcs11 {

struct TokenInfo {
  CK_SLOT_ID slot = 0;
  std::string label, manufacturer, model, serial, firmware;  // without the padding
  bool initialized = false, read_only = false;
};

// Whether a login may use the last try before the token locks its PIN (CKF_USER_PIN_FINAL_TRY).
enum class LastTry { Refuse, Take };

class Module {
 public:
  // SHA-256 of the module's file. Error{Io}.
  static Sha256Digest digest_of(const std::filesystem::path& path);

  // `arguments` is C_Initialize's pReserved string (NSS wants one), usually empty. Error{Usage} for a
  // relative path, Error{Token} for a digest other than `pinned`, for a file that others than root and
  // this user may exchange, or a folder above it, and where it does not load or initialize.
  Module(const std::filesystem::path& path, const Sha256Digest& pinned, const std::string& arguments);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  [[nodiscard]] const CK_FUNCTION_LIST& calls() const { return *calls_; }
  [[nodiscard]] std::vector<TokenInfo> tokens() const;

 private:
  CK_FUNCTION_LIST* calls_ = nullptr;
  std::string arguments_;
};

// Makes a token with `label` in the first slot that has none, in a child process of its own: a module loaded
// before tokens are made may not see them, and this process must not have loaded one yet. The security
// officer's PIN is random and forgotten.
void init_token(const std::filesystem::path& path, const std::string& label, ByteView pin);

}  // namespace qpcseal::pkcs11
