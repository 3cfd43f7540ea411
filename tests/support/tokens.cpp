// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tokens.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "base/random.h"
#include "pkcs11/token_choice.h"

namespace qpcseal::testing {

namespace {
constexpr const char* kSoftHsm = "/usr/lib/softhsm/libsofthsm2.so";
constexpr const char* kNss[] = {
    "/usr/lib/x86_64-linux-gnu/nss/libsoftokn3.so", "/usr/lib/x86_64-linux-gnu/libsoftokn3.so",
    "/usr/lib/aarch64-linux-gnu/nss/libsoftokn3.so", "/usr/lib/aarch64-linux-gnu/libsoftokn3.so"};
}  // namespace

TemporaryFolder::TemporaryFolder() {
  SystemRandom random;
  path_ = std::filesystem::temp_directory_path() / ("qpcseal-test-" + to_hex(random.bytes(8)));
  std::filesystem::create_directory(path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

SecretBuffer test_pin() {
  const std::string_view text = kTestPin;
  SecretBuffer pin(text.size());
  std::copy(text.begin(), text.end(), pin.bytes().begin());
  return pin;
}

void TestToken::open(const std::string& path, const std::string& label, const std::string& arguments) {
  module_.emplace(path, pkcs11::Module::digest_of(path), arguments);
  info_ = find_token(*module_, {label, "", {}});
  session_.emplace(*module_, info_, pkcs11::Access::ReadWrite);
  session_->login(test_pin());
}

std::unique_ptr<TestToken> TestToken::softhsm() {
  auto token = std::make_unique<TestToken>();
  const auto tokens = token->folder_.path() / "tokens";
  std::filesystem::create_directory(tokens);
  std::ofstream(token->folder_.path() / "softhsm2.conf")
      << "directories.tokendir = " << tokens.string() << "\nlog.level = ERROR\n";
  setenv("SOFTHSM2_CONF", (token->folder_.path() / "softhsm2.conf").c_str(), 1);
  pkcs11::init_token(kSoftHsm, "test", view(kTestPin));
  token->open(kSoftHsm, "test", "");
  return token;
}

std::unique_ptr<TestToken> TestToken::nss() {
  const auto* found = std::find_if(std::begin(kNss), std::end(kNss),
                                   [](const char* path) { return std::filesystem::exists(path); });
  if (found == std::end(kNss)) return nullptr;
  auto token = std::make_unique<TestToken>();
  const std::string dir = token->folder_.path().string();
  std::ofstream(token->folder_.path() / "pin") << kTestPin << "\n";
  if (std::system(("certutil -N -d sql:" + dir + " -f " + dir + "/pin").c_str()) != 0)
    throw Error(ErrorKind::Token, "certutil could not make an NSS database");
  token->open(*found, "NSS Certificate DB",
              "configdir='sql:" + dir + "' certPrefix='' keyPrefix='' secmod='secmod.db' flags=");
  return token;
}

}  // namespace qpcseal::testing
