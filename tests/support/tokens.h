// SPDX-License-Identifier: Apache-2.0
// Real tokens for tests: SoftHSM2 and NSS softoken, each in a folder that is thrown away.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "pkcs11/session.h"

namespace qpcseal::testing {

// A folder under the system's temporary one, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline constexpr const char* kTestPin = "test-pin-1234";
SecretBuffer test_pin();

// A logged-in token. One a process: PKCS #11 modules are process-wide.
class TestToken {
 public:
  static std::unique_ptr<TestToken> softhsm();
  // Null where the module is not installed.
  static std::unique_ptr<TestToken> nss();
  [[nodiscard]] const pkcs11::Module& module() const { return *module_; }
  [[nodiscard]] const pkcs11::TokenInfo& info() const { return info_; }
  pkcs11::Session& session() { return *session_; }

 private:
  void open(const std::string& path, const std::string& label, const std::string& arguments);
  TemporaryFolder folder_;
  std::optional<pkcs11::Module> module_;
  pkcs11::TokenInfo info_;
  std::optional<pkcs11::Session> session_;
};

}  // namespace qpcseal::testing
