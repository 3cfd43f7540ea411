// SPDX-License-Identifier: Apache-2.0
// What is done to a process for good is done in a child of the test.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <functional>

namespace qpcseal::process::tests {

constexpr int kThrown = 250, kKilled = 251;

// What `act` returned, 0 to 249.
inline int in_child(const std::function<int()>& act) {
  const pid_t child = fork();
  if (child == 0) {
    try {
      _exit(act());
    } catch (const std::exception&) {
      _exit(kThrown);
    }
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return kThrown;
  return WIFEXITED(status) ? WEXITSTATUS(status) : kKilled;
}

inline int error_of(long result) { return result >= 0 ? 0 : errno; }

}  // namespace qpcseal::process::tests
