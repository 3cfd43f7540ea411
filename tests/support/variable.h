// SPDX-License-Identifier: Apache-2.0
// The environment of one test; what was there before comes back.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>

namespace qpcseal::testing {

class Variable {
 public:
  // `value`: null: the variable is not set.
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { set(before_ ? before_->c_str() : nullptr); }

 private:
  void set(const char* value) const {
    if (value != nullptr) {
      setenv(name_, value, 1);
    } else {
      unsetenv(name_);
    }
  }

  const char* name_;
  std::optional<std::string> before_;
};

}  // namespace qpcseal::testing
