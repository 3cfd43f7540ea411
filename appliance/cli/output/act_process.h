// SPDX-License-Identifier: Apache-2.0
// One command of this program in a process of its own: for `run` and `shell`, which ask for the PIN once.
// Each act takes the lock, logs in and ends by itself, so what happens to one does not happen to the next.
#pragma once

#include <string>
#include <vector>

#include "base/secret.h"

namespace qpcseal::cli {

struct ActProcess {
  std::vector<std::string> words;     // without the program's name
  const SecretBuffer* pin = nullptr;  // is given by --pin-fd, through a pipe; null: not given
  bool capture = false;               // standard output comes back, and standard input is empty
};

struct ActResult {
  int exit_code = 0;         // 128 and the number of the signal that ended it
  std::string output;        // where it was captured, at most 64 MiB
  bool interrupted = false;  // a signal came to this process meanwhile, and was handed on
};

// Waits for its end. SIGINT, SIGTERM and SIGHUP go to the act and not to this process. Error{Io} where no
// process can be started.
ActResult run_act(const ActProcess& act);

// "one 'two words' three\ four" as words, as a POSIX shell splits them without expanding anything.
// Error{Usage} for a quote that does not end.
std::vector<std::string> split_words(const std::string& line);

}  // namespace qpcseal::cli
