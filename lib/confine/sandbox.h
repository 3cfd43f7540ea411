// SPDX-License-Identifier: Apache-2.0
// A sandbox for one run of another maker's program (bubblewrap).
//
// The program sees: the system's /usr, read-only; an empty /tmp of its own; the files and folders of its Job;
// and nothing else: no network, no home, no other process, no terminal, an empty environment, no
// capabilities. It runs in user, pid, network, ipc, uts and mount namespaces of its own, under the Job's
// limits. A filter of system calls keeps it from what no namespace holds: kernel keyrings, sockets but
// AF_UNIX and AF_NETLINK, io_uring, bpf, tracing (process/system_calls.h, Sandboxed). When run() returns, no
// process of it is left.
//
// A secret is a file in the sandbox's own memory: it goes there through a pipe, once the sandbox stands, and
// is wiped here before the program starts. No disk has it. While the program runs, other processes of the
// same account can read it, by /proc/PID/root: they can read the program's memory, too. A program can also
// show it to the workstation's other accounts, in its processes' names and arguments.
#pragma once

#include <string>

#include "confine/job.h"
#include "confine/memory_file.h"

namespace qpcseal::confine {

enum class End {
  Exited,     // by itself; `code`
  Killed,     // by a signal; `code`
  TimedOut,   // Limits::wall
  Output,     // more than Limits::output
  Processes,  // more than Limits::processes
  Stopped,    // by Job::watch; `why`
};

struct Finished {
  End end = End::Exited;
  int code = 0;  // exit status, or the signal's number
  std::string why;
  // Standard output and standard error, at most Limits::output. What a program with a secret writes there is
  // counted and not kept.
  Bytes output;
  std::string errors;
  // "ended with exit status 3", "was killed by signal 9, or ended with exit status 137", "ran longer than 60
  // s", ...
  [[nodiscard]] std::string words() const;
};

// Runs the job to its end, in this process or by its launcher where it has one (launcher.h). Error{Io} where
// there is no bubblewrap, or the sandbox cannot be set up: the program then did not start. Several threads
// may call it at once.
Finished run(const Job& job);

// Why no sandbox can be set up on this machine, by setting one up; empty where it can.
std::string fault_of_sandbox();

// The rest is for launcher.cpp alone.
inline constexpr const char* kTrial = "/usr/bin/true";  // the program of fault_of_sandbox()
// Writes the job's secret. Called once the sandbox stands and before the program starts, where there is one.
using FeedSecret = std::function<void(const Fd& pipe)>;
Finished run_directly(const Job& job, const FeedSecret& feed_secret);

}  // namespace qpcseal::confine
