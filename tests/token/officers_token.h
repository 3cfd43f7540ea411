// SPDX-License-Identifier: Apache-2.0
// An officer's token on disk, made by SoftHSM. What a test opens initializes the module, so that no other may
// have it open by then.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>

#include "appliance/keys/signing.h"
#include "tests/support/tokens.h"

namespace qpcseal::testing {

class OfficersToken : public ::testing::Test {
 protected:
  static constexpr const char* kModule = "/usr/lib/softhsm/libsofthsm2.so";
  TemporaryFolder folder;

  void SetUp() override {
    std::filesystem::create_directory(folder.path() / "tokens");
    const std::string conf = folder.path() / "softhsm2.conf";
    std::ofstream(conf) << "directories.tokendir = " << (folder.path() / "tokens").string()
                        << "\nlog.level = ERROR\n";
    setenv("SOFTHSM2_CONF", conf.c_str(), 1);
    add_token("anna");
  }
  static void add_token(const std::string& label) { pkcs11::init_token(kModule, label, view(kTestPin)); }
  static void put(const std::function<void(pkcs11::Session&)>& act) {
    const pkcs11::Module module(kModule, pkcs11::Module::digest_of(kModule), "");
    pkcs11::Session session(module, pkcs11::find_token(module, {"anna", "", {}}), pkcs11::Access::ReadWrite);
    session.login(test_pin());
    act(session);
  }
  static void put_key(const std::string& label, keys::SigningType type) {
    put([&](pkcs11::Session& session) { keys::generate_signing_key(session, label, type); });
  }
  // A key that signs nothing here.
  static void put_rsa_key() {
    put([](pkcs11::Session& session) {
      pkcs11::Template publics, privates;
      publics.flag(CKA_TOKEN, true).number(CKA_MODULUS_BITS, 1024).text(CKA_LABEL, "rsa");
      privates.flag(CKA_TOKEN, true).text(CKA_LABEL, "rsa");
      session.generate_pair({CKM_RSA_PKCS_KEY_PAIR_GEN, nullptr, 0}, publics, privates, "rsa");
    });
  }
};

}  // namespace qpcseal::testing
