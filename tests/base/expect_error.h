// SPDX-License-Identifier: Apache-2.0
// Asserting the class of a failure, and what it says.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "base/error.h"

namespace qpcseal::testing {

// Runs `act`, which must throw Error of `kind` whose message holds `part`.
template <typename Act>
::testing::AssertionResult throws_error(ErrorKind kind, const std::string& part, Act&& act) {
  try {
    std::forward<Act>(act)();
  } catch (const Error& error) {
    const std::string message = error.what();
    if (error.kind() != kind)
      return ::testing::AssertionFailure() << "kind " << static_cast<int>(error.kind()) << " where "
                                           << static_cast<int>(kind) << " was expected: " << message;
    if (part.empty())
      return ::testing::AssertionFailure() << "say what the message must hold; it is '" << message << "'";
    if (message.find(part) == std::string::npos)
      return ::testing::AssertionFailure() << "the message '" << message << "' lacks '" << part << "'";
    return ::testing::AssertionSuccess() << message;
  } catch (const std::exception& error) {
    return ::testing::AssertionFailure() << "another exception: " << error.what();
  }
  return ::testing::AssertionFailure() << "nothing was thrown; expected '" << part << "'";
}

}  // namespace qpcseal::testing

#define EXPECT_ERROR(kind, part, ...)                                              \
  EXPECT_TRUE(::qpcseal::testing::throws_error(::qpcseal::ErrorKind::kind, (part), \
                                               [&] { static_cast<void>(__VA_ARGS__); }))
