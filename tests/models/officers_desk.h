// SPDX-License-Identifier: Apache-2.0
// An appliance where an officer must agree to each seal.
#pragma once

#include <string>
#include <utility>

#include "tests/models/model_files.h"

namespace qpcseal::models {

// A key for each test, for few encryptions. Beside the usual segments it seals those of long_name().
class OfficersDesk : public testing::Models {
 protected:
  static constexpr unsigned kLongNames = 67;
  static constexpr unsigned kMaxEncryptions = 160;

  OfficersDesk() : Models(desk(), ::testing::UnitTest::GetInstance()->current_test_info()->name()) {}
  // 250 bytes.
  static std::string long_name(unsigned number) {
    return std::to_string(100 + number) + std::string(247, 'n');
  }
  // What the log has of an approval; each is used once.
  [[nodiscard]] encoding::Json approval() {
    return {{"nonce", to_hex(appliance.random().bytes(32))}, {"request_sha256", sha256_hex("request")}};
  }
  // From now on these are the officers.
  void ask(site::Appliance::Authority officers) { appliance.set_authority(std::move(officers)); }

 private:
  static testing::DemoAppliance& desk() {
    static testing::DemoAppliance one([](std::string policy) {
      std::string names;
      for (unsigned i = 0; i < kLongNames; ++i) names += "\"" + long_name(i) + "\",";
      const auto change = [&](const std::string& from, const std::string& to) {
        policy.replace(policy.find(from), from.size(), to);
      };
      change("\nseal = 0\n", "\nseal = 1\n");
      change("segments = []", "segments = [" + names + "]");
      change("max_encryptions = 1000", "max_encryptions = " + std::to_string(kMaxEncryptions));
      return policy;
    });
    return one;
  }
};

}  // namespace qpcseal::models
