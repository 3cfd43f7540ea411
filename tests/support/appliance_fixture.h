// SPDX-License-Identifier: Apache-2.0
// A whole appliance in this process: a demonstration with an embedded SoftHSM token, made by site::init, with
// a clock that a test sets and random bytes that it can foretell.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "appliance/site/appliance.h"
#include "appliance/site/init.h"
#include "tests/attest/test_card.h"
#include "tests/audit/host_log.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::testing {

// Allows all keys to cards like this one, and each operation without an officer.
std::string demo_policy(const TestCard& card);

class DemoAppliance {
 public:
  // `edit`: makes another policy out of demo_policy().
  explicit DemoAppliance(const std::function<std::string(std::string)>& edit = {});
  DemoAppliance(const DemoAppliance&) = delete;
  DemoAppliance& operator=(const DemoAppliance&) = delete;

  [[nodiscard]] site::Environment environment() { return {home, clock, random, std::nullopt}; }
  [[nodiscard]] site::InitOptions init_options() const;
  // Open while the reference is used; close() lets go of token and lock.
  site::Appliance& open();
  void close() { appliance_.reset(); }
  // "kind outcome" of the log's last entries.
  [[nodiscard]] std::vector<std::string> last_entries(std::size_t count) const;

  TempFolder folder;
  site::Home home{folder.path() / "home"};
  SetClock clock;
  CountingRandom random;
  TestCard card;
  site::InitResult made;

 private:
  std::optional<site::Appliance> appliance_;
};

}  // namespace qpcseal::testing
