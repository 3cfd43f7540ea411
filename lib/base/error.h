// SPDX-License-Identifier: Apache-2.0
// The one exception type. A kind maps to an exit code in one switch (lib/cli/exit_code.cpp).
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/finding.h"

namespace qpcseal {

enum class ErrorKind {
  Internal,          // a bug here
  Usage,             // wrong arguments
  Io,                // file system
  Malformed,         // input that is not what it says
  Denied,            // attestation or policy said no
  Token,             // PKCS#11
  ApprovalsMissing,  // officers have not agreed
  LogDamaged,        // the audit log does not verify
  DoneWithFault,     // the act is done and logged, and a step behind its log entry failed
  Interrupted,       // a signal asked to stop, and nothing half-done was left
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, std::string hint = {}, Findings findings = {})
      : std::runtime_error(message), kind_(kind), hint_(std::move(hint)), findings_(std::move(findings)) {}
  [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }
  // All reasons of a denial.
  [[nodiscard]] const Findings& findings() const noexcept { return findings_; }
  // The cause in a word for programs ("output-exists"), the same whatever the message says;
  // docs/OPERATIONS.md lists them. Where no cause was named, the kind's ("denied").
  [[nodiscard]] std::string_view code() const noexcept;

  // The same error with a cause, of text that lives as long as the program; with another hint; or with
  // "context: " before its message.
  [[nodiscard]] Error with_code(std::string_view code) const;
  [[nodiscard]] Error with_hint(std::string hint) const;
  [[nodiscard]] Error in_context(const std::string& context) const;

 private:
  ErrorKind kind_;
  std::string hint_;
  Findings findings_;
  std::string_view code_;
};

// What the standard library says of files, as Error{Io}.
Error io_error(const std::system_error& error);

// Runs `act` and puts "context: " before the message of an Error on its way up.
template <typename Act>
decltype(auto) with_context(const std::string& context, Act&& act) {
  try {
    return std::forward<Act>(act)();
  } catch (const Error& error) {
    throw error.in_context(context);
  } catch (const std::system_error& error) {
    throw io_error(error).in_context(context);
  }
}

// Message text for an errno value, e.g. "No space left on device".
std::string errno_text(int code);
// Throws Error{Io} "what: <errno text>".
[[noreturn]] void throw_errno(const std::string& what);

}  // namespace qpcseal
