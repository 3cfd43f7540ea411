// SPDX-License-Identifier: Apache-2.0
// Filters of system calls (seccomp). A filter holds for all threads and child processes, and never goes away;
// a second one can only narrow the first. A refused call fails with EPERM, so that a library that tries it
// goes on or says so.
#pragma once

#include "base/bytes.h"

namespace qpcseal::process {

enum class Calls {
  // All but what no command needs: tracing and reading other processes, io_uring, bpf, userfaultfd,
  // performance events, kernel modules, clocks, keyrings, swap, typing into the terminal.
  Common,
  // Common, less exec, mounts and namespaces, and sockets of other families than AF_UNIX. Before a token's
  // module is loaded.
  Token,
  // The same with AF_INET, AF_INET6 and AF_NETLINK (names of hosts are found by it).
  Network,
  // A list of what is allowed: files, memory, threads, time. No socket, no exec, no child process.
  Files,
  // The same with messages to a launcher that is there already (confine/launcher.h): socketpair, no socket.
  FilesAndMessages,
  // Common, with sockets of AF_UNIX and AF_NETLINK alone: the launcher, which makes namespaces and starts
  // bubblewrap; and bubblewrap itself.
  Launcher,
  // The same less mounts and namespaces: another maker's program in a sandbox. No namespace holds kernel
  // keyrings and AF_VSOCK, so that the filter alone keeps a program from them.
  Sandboxed,
};

// False where the kernel has no seccomp. Error{Internal}.
[[nodiscard]] bool filter_calls(Calls calls);

// The filter as the kernel takes it: struct sock_filter, one after another. For a process that is started, or
// for bubblewrap's --seccomp. Error{Internal}.
[[nodiscard]] Bytes encode_filter(Calls calls);

}  // namespace qpcseal::process
