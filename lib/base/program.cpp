// SPDX-License-Identifier: Apache-2.0
#include "base/program.h"

#include <sys/stat.h>

#include <csignal>
#include <new>
#include <system_error>

namespace qpcseal {

namespace {

unsigned user_mask = 0;

}  // namespace

void take_umask() { user_mask = umask(077); }

unsigned umask_of_user() { return user_mask; }

UserUmask::UserUmask() : own_(umask(user_mask)) {}
UserUmask::~UserUmask() { umask(own_); }

void make_write_signals_errors() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

Error as_error(const std::exception& error) {
  if (const auto* ours = dynamic_cast<const Error*>(&error)) return *ours;
  if (const auto* of_system = dynamic_cast<const std::system_error*>(&error)) return io_error(*of_system);
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr)
    return {ErrorKind::Io, "out of memory",
            "free some, or raise the limit (ulimit -v; MemoryMax= in a unit)"};
  return {ErrorKind::Internal, std::string("internal: ") + error.what()};
}

}  // namespace qpcseal
