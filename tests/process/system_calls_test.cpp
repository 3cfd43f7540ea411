// SPDX-License-Identifier: Apache-2.0
#include "process/system_calls.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <initializer_list>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include "tests/process/in_child.h"

namespace qpcseal::process {
namespace {

using tests::error_of;
using tests::in_child;

int under(Calls calls, const std::function<int()>& act) {
  return in_child([&] { return filter_calls(calls) ? act() : 249; });
}

int make_socket(int family) {
  const int fd = socket(family, SOCK_DGRAM, 0);
  const int error = error_of(fd);
  if (fd >= 0) close(fd);
  return error;
}

int exec_true() {
  char name[] = "/bin/true";
  char* words[] = {name, nullptr};
  execve(name, words, words + 1);
  return errno;
}

int trace() { return error_of(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }

int io_uring() {
  io_uring_params parameters{};
  return error_of(syscall(SYS_io_uring_setup, 1, &parameters));
}

int userfault() { return error_of(syscall(SYS_userfaultfd, O_CLOEXEC)); }

int read_memory() {
  char from = 'x', to = 0;
  const iovec local{&to, 1}, remote{&from, 1};
  return error_of(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
}

int new_namespace() {
  const long child = syscall(SYS_clone, CLONE_NEWUTS, nullptr, nullptr, nullptr, nullptr);
  if (child == 0) _exit(0);
  return error_of(child);
}

struct NumberedCall {
  const char* name;
  long number;
};
constexpr NumberedCall kNeverNeeded[] = {{"ptrace", SYS_ptrace},
                                         {"process_vm_readv", SYS_process_vm_readv},
                                         {"process_vm_writev", SYS_process_vm_writev},
                                         {"process_madvise", SYS_process_madvise},
                                         {"pidfd_getfd", SYS_pidfd_getfd},
                                         {"kcmp", SYS_kcmp},
                                         {"io_uring_setup", SYS_io_uring_setup},
                                         {"io_uring_enter", SYS_io_uring_enter},
                                         {"io_uring_register", SYS_io_uring_register},
                                         {"bpf", SYS_bpf},
                                         {"userfaultfd", SYS_userfaultfd},
                                         {"perf_event_open", SYS_perf_event_open},
                                         {"fanotify_init", SYS_fanotify_init},
                                         {"open_by_handle_at", SYS_open_by_handle_at},
                                         {"lookup_dcookie", SYS_lookup_dcookie},
                                         {"init_module", SYS_init_module},
                                         {"finit_module", SYS_finit_module},
                                         {"delete_module", SYS_delete_module},
                                         {"kexec_load", SYS_kexec_load},
                                         {"kexec_file_load", SYS_kexec_file_load},
                                         {"reboot", SYS_reboot},
                                         {"swapon", SYS_swapon},
                                         {"swapoff", SYS_swapoff},
                                         {"acct", SYS_acct},
                                         {"quotactl", SYS_quotactl},
                                         {"quotactl_fd", SYS_quotactl_fd},
                                         {"settimeofday", SYS_settimeofday},
                                         {"clock_settime", SYS_clock_settime},
                                         {"clock_adjtime", SYS_clock_adjtime},
                                         {"adjtimex", SYS_adjtimex},
                                         {"sethostname", SYS_sethostname},
                                         {"setdomainname", SYS_setdomainname},
                                         {"iopl", SYS_iopl},
                                         {"ioperm", SYS_ioperm},
                                         {"modify_ldt", SYS_modify_ldt},
                                         {"vhangup", SYS_vhangup},
                                         {"personality", SYS_personality},
                                         {"syslog", SYS_syslog},
                                         {"nfsservctl", SYS_nfsservctl},
                                         {"add_key", SYS_add_key},
                                         {"request_key", SYS_request_key},
                                         {"keyctl", SYS_keyctl}};
constexpr NumberedCall kOfLaunchers[] = {{"mount", SYS_mount},
                                         {"umount2", SYS_umount2},
                                         {"mount_setattr", SYS_mount_setattr},
                                         {"move_mount", SYS_move_mount},
                                         {"open_tree", SYS_open_tree},
                                         {"fsopen", SYS_fsopen},
                                         {"fsconfig", SYS_fsconfig},
                                         {"fsmount", SYS_fsmount},
                                         {"fspick", SYS_fspick},
                                         {"pivot_root", SYS_pivot_root},
                                         {"chroot", SYS_chroot},
                                         {"unshare", SYS_unshare},
                                         {"setns", SYS_setns}};
constexpr NumberedCall kExec[] = {{"execve", SYS_execve}, {"execveat", SYS_execveat}};

// With arguments that no call takes: whoever may make the call learns that.
int call_wrongly(const NumberedCall& call) {
  return error_of(syscall(call.number, -1L, -1L, -1L, -1L, -1L, -1L));
}

int use_files_and_threads() {
  char name[] = "/tmp/qpcseal-test-XXXXXX";
  const int fd = mkstemp(name);
  if (fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) != 0 || unlink(name) != 0) return errno;
  int seen = 0;
  std::thread([&] { seen = 1; }).join();
  return seen == 1 ? 0 : 1;
}

TEST(SystemCalls, WithoutAFilterEachTrialWorks) {
  if (geteuid() != 0) GTEST_SKIP() << "root's rights are needed for some";
  for (const auto& act : {trace, io_uring, userfault, read_memory, new_namespace, exec_true})
    EXPECT_EQ(in_child(act), 0);
  EXPECT_EQ(in_child([] { return make_socket(AF_INET); }), 0);
}

// The name of the first that a filter does not refuse; empty: none.
std::string first_allowed(Calls filter, std::span<const NumberedCall> calls) {
  const auto at = static_cast<std::size_t>(under(filter, [&] {
    const auto allowed =
        std::ranges::find_if(calls, [](const auto& call) { return call_wrongly(call) != EPERM; });
    return static_cast<int>(allowed - calls.begin());
  }));
  return at < calls.size() ? calls[at].name : at == calls.size() ? "" : "no filter";
}

TEST(SystemCalls, WithoutAFilterTheKernelItselfRefusesNone) {
  if (geteuid() != 0) GTEST_SKIP() << "root's rights are needed for some";
  for (const auto calls :
       std::initializer_list<std::span<const NumberedCall>>{kNeverNeeded, kOfLaunchers, kExec})
    for (const NumberedCall& call : calls)
      if (call.number != SYS_vhangup) {  // it would end the terminal's session
        EXPECT_NE(in_child([&] { return call_wrongly(call); }), EPERM) << call.name;
      }
}

TEST(SystemCalls, EachCallThatAFilterNamesIsRefused) {
  for (const Calls calls : {Calls::Common, Calls::Token, Calls::Network, Calls::Files,
                            Calls::FilesAndMessages, Calls::Launcher, Calls::Sandboxed})
    EXPECT_EQ(first_allowed(calls, kNeverNeeded), "") << static_cast<int>(calls);
  for (const Calls calls :
       {Calls::Token, Calls::Network, Calls::Files, Calls::FilesAndMessages, Calls::Sandboxed})
    EXPECT_EQ(first_allowed(calls, kOfLaunchers), "") << static_cast<int>(calls);
  for (const Calls calls : {Calls::Token, Calls::Network, Calls::Files, Calls::FilesAndMessages})
    EXPECT_EQ(first_allowed(calls, kExec), "") << static_cast<int>(calls);
}

int clone_with(unsigned long flags) {
  const long child = syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr);
  if (child == 0) _exit(0);
  return error_of(child);
}

TEST(SystemCalls, EachKindOfNamespaceIsRefusedToAModuleAndInASandbox) {
  constexpr unsigned long kKinds[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                      CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET, CLONE_NEWTIME};
  for (const unsigned long kind : kKinds) {
    for (const Calls calls :
         {Calls::Token, Calls::Network, Calls::Files, Calls::FilesAndMessages, Calls::Sandboxed})
      EXPECT_EQ(under(calls, [&] { return clone_with(kind); }), EPERM) << kind;
    if (geteuid() == 0) {
      EXPECT_NE(in_child([&] { return clone_with(kind); }), EPERM) << kind;
    }
  }
}

// Its flags are where no filter sees them.
TEST(SystemCalls, Clone3IsHiddenWhereNamespacesAreRefused) {
  const auto ask = [] { return error_of(syscall(SYS_clone3, nullptr, 0)); };
  for (const Calls calls :
       {Calls::Token, Calls::Network, Calls::Files, Calls::FilesAndMessages, Calls::Sandboxed})
    EXPECT_EQ(under(calls, ask), ENOSYS) << static_cast<int>(calls);
  EXPECT_EQ(in_child(ask), EINVAL);
}

TEST(SystemCalls, EachOtherFamilyOfSocketsIsRefused) {
  const std::pair<Calls, std::set<int>> allowed[] = {
      {Calls::Token, {AF_UNIX}},
      {Calls::Network, {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}},
      {Calls::Files, {}},
      {Calls::FilesAndMessages, {}},
      {Calls::Launcher, {AF_UNIX, AF_NETLINK}},
      {Calls::Sandboxed, {AF_UNIX, AF_NETLINK}}};
  for (const auto& row : allowed)
    EXPECT_EQ(under(row.first,
                    [&] {
                      for (int family = 0; family <= AF_MAX; ++family)
                        if ((make_socket(family) == EPERM) == row.second.contains(family)) return family + 1;
                      return 0;
                    }),
              0)
        << static_cast<int>(row.first);
}

TEST(SystemCalls, EveryFilterRefusesWhatNoCommandNeeds) {
  for (const Calls calls : {Calls::Common, Calls::Token, Calls::Network, Calls::Files,
                            Calls::FilesAndMessages, Calls::Launcher, Calls::Sandboxed})
    for (const auto& act : {trace, io_uring, userfault, read_memory})
      EXPECT_EQ(under(calls, act), EPERM) << static_cast<int>(calls);
}

TEST(SystemCalls, TheCommonFilterLeavesExecAndNamespacesToALauncher) {
  EXPECT_EQ(under(Calls::Common, exec_true), 0);
  if (geteuid() == 0) {
    EXPECT_EQ(under(Calls::Common, new_namespace), 0);
  }
}

TEST(SystemCalls, ATokensFilterRefusesExecNamespacesAndTheNetwork) {
  for (const auto& act : {exec_true, new_namespace}) EXPECT_EQ(under(Calls::Token, act), EPERM);
  EXPECT_EQ(under(Calls::Token, [] { return error_of(unshare(CLONE_NEWNS)); }), EPERM);
  for (const int family : {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_UNSPEC})
    EXPECT_EQ(under(Calls::Token, [&] { return make_socket(family); }), EPERM) << family;
  EXPECT_EQ(under(Calls::Token, [] { return make_socket(AF_UNIX); }), 0);
  EXPECT_EQ(under(Calls::Token, use_files_and_threads), 0);
}

TEST(SystemCalls, AFamilyWithHighBitsIsRefused) {
  EXPECT_EQ(
      under(Calls::Token, [] { return error_of(syscall(SYS_socket, (1UL << 32) | AF_INET, SOCK_DGRAM, 0)); }),
      EPERM);
}

TEST(SystemCalls, ANetworkFilterHasSocketsAndNoExec) {
  for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK})
    EXPECT_EQ(under(Calls::Network, [&] { return make_socket(family); }), 0) << family;
  for (const int family : {AF_PACKET, AF_VSOCK})
    EXPECT_EQ(under(Calls::Network, [&] { return make_socket(family); }), EPERM) << family;
  EXPECT_EQ(under(Calls::Network, exec_true), EPERM);
}

TEST(SystemCalls, AFilesFilterHasFilesAndThreadsAlone) {
  EXPECT_EQ(under(Calls::Files, use_files_and_threads), 0);
  for (const int family : {AF_UNIX, AF_INET})
    EXPECT_EQ(under(Calls::Files, [&] { return make_socket(family); }), EPERM) << family;
  EXPECT_EQ(under(Calls::Files, exec_true), EPERM);
  EXPECT_EQ(under(Calls::Files,
                  [] { return error_of(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr)); }),
            EPERM);
  EXPECT_EQ(under(Calls::Files, [] { return error_of(kill(getppid(), 0)); }), EPERM);
}

int make_socket_pair() {
  int ends[2];
  return error_of(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
}

TEST(SystemCalls, AFilterWithMessagesHasSocketPairsAndNoSockets) {
  EXPECT_EQ(under(Calls::FilesAndMessages, make_socket_pair), 0);
  EXPECT_EQ(under(Calls::Files, make_socket_pair), EPERM);
  for (const int family : {AF_UNIX, AF_INET})
    EXPECT_EQ(under(Calls::FilesAndMessages, [&] { return make_socket(family); }), EPERM) << family;
  EXPECT_EQ(under(Calls::FilesAndMessages, exec_true), EPERM);
}

TEST(SystemCalls, ALaunchersFilterHasExecAndNoNetwork) {
  EXPECT_EQ(under(Calls::Launcher, exec_true), 0);
  for (const int family : {AF_INET, AF_INET6, AF_PACKET})
    EXPECT_EQ(under(Calls::Launcher, [&] { return make_socket(family); }), EPERM) << family;
  EXPECT_EQ(under(Calls::Launcher, [] { return make_socket(AF_NETLINK); }), 0);
}

TEST(SystemCalls, TypingIntoTheTerminalIsRefused) {
  char letter = 'x';
  EXPECT_EQ(under(Calls::Common, [&] { return error_of(ioctl(0, TIOCLINUX, &letter)); }), EPERM);
  EXPECT_EQ(under(Calls::Common, [&] { return error_of(ioctl(0, TIOCSTI, &letter)); }), EPERM);
  // The kernel looks at 32 bits of the request.
  EXPECT_EQ(
      under(Calls::Common, [&] { return error_of(syscall(SYS_ioctl, 0, (1UL << 32) | TIOCSTI, &letter)); }),
      EPERM);
}

TEST(SystemCalls, ASecondFilterOnlyNarrows) {
  EXPECT_EQ(under(Calls::Token, [] { return filter_calls(Calls::Network) ? make_socket(AF_INET) : 249; }),
            EPERM);
}

}  // namespace
}  // namespace qpcseal::process
