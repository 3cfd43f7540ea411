// SPDX-License-Identifier: Apache-2.0
// What the main function of each program needs.
#pragma once

#include <exception>

#include "base/error.h"

namespace qpcseal {

// From now on a pipe that nobody reads (SIGPIPE) and a limit on the size of files (SIGXFSZ) are errors of the
// write that meets them. By default they end the process in the middle of an act, without a word.
void make_write_signals_errors();

// Takes the user's umask for the modes of outputs (file.h), and 077 for all that is made between. Without a
// call the modes are as the code names them.
void take_umask();
// The user's umask; 0 before take_umask().
unsigned umask_of_user();

// While it lives, the process has the user's umask again: for a program that is started, and takes it itself.
// Of the whole process: other threads must make no files meanwhile.
class UserUmask {
 public:
  UserUmask();
  ~UserUmask();
  UserUmask(const UserUmask&) = delete;
  UserUmask& operator=(const UserUmask&) = delete;

 private:
  unsigned own_;
};

// Any exception as what it is to the user: an Error as it is, files and memory as Error{Io}, all else as
// Error{Internal}.
Error as_error(const std::exception& error);

}  // namespace qpcseal
