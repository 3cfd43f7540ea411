// SPDX-License-Identifier: Apache-2.0
#include "confine/launch.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

namespace qpcseal::confine {

namespace {

constexpr int kUnstarted = 127;

void limit(int what, std::uint64_t value) {
  const rlimit both{value, value};
  static_cast<void>(setrlimit(static_cast<__rlimit_resource_t>(what), &both));
}

}  // namespace

void Launch::become() const {
  std::array<char*, 1> nothing{nullptr};
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  for (int fd = 0; fd < 3; ++fd)
    if (dup2(standard[static_cast<std::size_t>(fd)], fd) < 0) _exit(kUnstarted);
  if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) _exit(kUnstarted);
  for (const int fd : keep)
    if (fcntl(fd, F_SETFD, 0) != 0) _exit(kUnstarted);
  for (const int signal : {SIGPIPE, SIGXFSZ, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD})
    static_cast<void>(::signal(signal, SIG_DFL));
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  limit(RLIMIT_CORE, 1);  // 1: a kernel that pipes dumps elsewhere does not either (core(5))
  limit(RLIMIT_AS, limits.memory);
  limit(RLIMIT_CPU, limits.cpu);
  limit(RLIMIT_FSIZE, limits.file_size);
  limit(RLIMIT_NOFILE, limits.open_files);
  setsid();
  // The sandbox's first process is bubblewrap's, and a program may try to make it do what itself cannot.
  const sock_fprog calls{
      static_cast<unsigned short>(filter.size() / sizeof(sock_filter)),
      static_cast<sock_filter*>(const_cast<void*>(static_cast<const void*>(filter.data())))};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &calls, 0, 0) != 0)
    _exit(kUnstarted);
  execve(kBubblewrap, words.data(), nothing.data());
  _exit(kUnstarted);
}

}  // namespace qpcseal::confine
