// SPDX-License-Identifier: Apache-2.0
// An officer for tests: a fresh Ed25519 key, its line of an officers file, and its signatures.
#pragma once

#include <openssl/evp.h>

#include <string>
#include <utility>

#include "appliance/approval/sshsig_sign.h"
#include "base/bytes.h"

namespace qpcseal::testing {

class OfficerKey {
 public:
  explicit OfficerKey(std::string name) : name_(std::move(name)) {}
  [[nodiscard]] const std::string& name() const { return name_; }
  // The line of an officers file, with its line feed. `namespaces` have commas between.
  [[nodiscard]] std::string line(
      const std::string& namespaces = "approval@qpcseal,officers@qpcseal,policy@qpcseal") const {
    return name_ + " namespaces=\"" + namespaces + "\" ssh-ed25519 " +
           to_base64(approval::ssh_key_blob(key_.get())) + "\n";
  }
  [[nodiscard]] std::string sign(const std::string& text,
                                 const std::string& sig_namespace = "approval@qpcseal") const {
    return approval::sign_sshsig(key_.get(), sig_namespace, view(text));
  }

 private:
  std::string name_;
  approval::EvpKey key_{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")};
};

}  // namespace qpcseal::testing
