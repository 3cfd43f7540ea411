// SPDX-License-Identifier: Apache-2.0
#include "process/system_calls.h"

#include <linux/fs.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace qpcseal::process {

namespace {

constexpr std::uint32_t kRefuse = SCMP_ACT_ERRNO(EPERM);

struct Release {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, Release>;

// No command needs these.
constexpr std::string_view kCommon =
    "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp io_uring_setup "
    "io_uring_enter io_uring_register bpf userfaultfd perf_event_open fanotify_init open_by_handle_at "
    "lookup_dcookie init_module finit_module delete_module kexec_load kexec_file_load reboot swapon "
    "swapoff acct quotactl quotactl_fd settimeofday clock_settime clock_adjtime adjtimex sethostname "
    "setdomainname iopl ioperm modify_ldt personality vhangup syslog nfsservctl add_key request_key "
    "keyctl";

// The launcher of a confined program needs these, and nothing else does.
constexpr std::string_view kExec = "execve execveat";
constexpr std::string_view kMounts =
    "mount umount umount2 mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick pivot_root "
    "chroot unshare setns";
constexpr std::array<std::uint64_t, 8> kNamespaces = {CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS,
                                                      CLONE_NEWIPC, CLONE_NEWUSER,   CLONE_NEWPID,
                                                      CLONE_NEWNET, CLONE_NEWTIME};

// Files, memory, threads, time.
constexpr std::string_view kFiles =
    "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek open openat "
    "openat2 creat close close_range stat fstat lstat newfstatat fstatat64 statx statfs fstatfs "
    "access faccessat faccessat2 readlink readlinkat getdents getdents64 getcwd chdir fchdir fcntl "
    "flock truncate ftruncate fallocate fadvise64 readahead fsync fdatasync syncfs sync_file_range "
    "copy_file_range sendfile dup dup2 dup3 pipe pipe2 mkdir mkdirat rename renameat renameat2 link "
    "linkat symlink symlinkat unlink unlinkat rmdir chmod fchmod fchmodat chown fchown fchownat "
    "lchown utime utimes utimensat umask fgetxattr getxattr mmap mremap munmap mprotect msync mincore "
    "madvise brk mlock mlock2 munlock mlockall munlockall memfd_create rt_sigaction rt_sigprocmask "
    "rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack futex futex_waitv "
    "set_robust_list get_robust_list rseq set_tid_address membarrier getcpu arch_prctl prctl capget "
    "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self exit exit_group gettid "
    "getpid getppid getpgrp getpgid getsid tgkill sched_yield sched_getaffinity sched_getparam "
    "sched_getscheduler clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time "
    "timer_create timer_settime timer_delete setitimer getitimer alarm getrandom getuid geteuid "
    "getgid getegid getresuid getresgid getgroups getrlimit setrlimit prlimit64 getrusage times "
    "sysinfo uname poll ppoll select pselect6 restart_syscall";

constexpr std::string_view kMessages = "socketpair sendmsg recvmsg shutdown";

bool lists_what_is_allowed(Calls calls) { return calls == Calls::Files || calls == Calls::FilesAndMessages; }

void must(int result, const std::string& what) {
  if (result != 0)
    throw Error(ErrorKind::Internal, "the filter of system calls: " + what + ": " + errno_text(-result));
}

// Names that this machine's processor does not have, or that libseccomp is too old to know, are passed over.
void rule(const Filter& filter, std::uint32_t action, const char* name) {
  const int number = seccomp_syscall_resolve_name(name);
  if (number < 0) return;
  must(seccomp_rule_add(filter.get(), action, number, 0), name);
}

struct Condition {
  unsigned argument;  // from 0
  scmp_compare compare;
  std::uint64_t first, second = 0;  // for SCMP_CMP_MASKED_EQ: the mask, the value
};

template <typename Act>
void each_word(std::string_view words, Act act) {
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    act(std::string(words.substr(0, end)));
    words.remove_prefix(std::min(end + 1, words.size()));
  }
}

void rules(const Filter& filter, std::uint32_t action, std::string_view names) {
  each_word(names, [&](const std::string& name) { rule(filter, action, name.c_str()); });
}

void rule_if(const Filter& filter, std::uint32_t action, int number, const Condition& condition) {
  const scmp_arg_cmp compared{condition.argument, condition.compare, condition.first, condition.second};
  must(seccomp_rule_add_array(filter.get(), action, number, 1, &compared), "a condition");
}

// The kernel looks at 32 bits of ioctl's request.
constexpr std::uint64_t kRequestMask = 0xFFFFFFFF;

// clone3's flags are in memory, where no filter sees them; without it the C library calls clone.
void hide_clone3(const Filter& filter) {
  const int clone3 = seccomp_syscall_resolve_name("clone3");
  if (clone3 >= 0) must(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), clone3, 0), "clone3");
}

void refuse_typing(const Filter& filter) {
  for (const std::uint64_t request : std::initializer_list<std::uint64_t>{TIOCSTI, TIOCLINUX})
    rule_if(filter, kRefuse, SCMP_SYS(ioctl), {1, SCMP_CMP_MASKED_EQ, kRequestMask, request});
}

void refuse_namespaces(const Filter& filter) {
  rules(filter, kRefuse, kMounts);
  for (const std::uint64_t kind : kNamespaces)
    rule_if(filter, kRefuse, SCMP_SYS(clone), {0, SCMP_CMP_MASKED_EQ, kind, kind});
  hide_clone3(filter);
}

// Families are small numbers; one that is greater than the greatest allowed one is refused whatever it is.
void refuse_sockets(const Filter& filter, std::initializer_list<int> allowed) {
  int greatest = 0;
  for (const int family : allowed) greatest = std::max(greatest, family);
  for (int family = 0; family < greatest; ++family)
    if (std::find(allowed.begin(), allowed.end(), family) == allowed.end())
      rule_if(filter, kRefuse, SCMP_SYS(socket), {0, SCMP_CMP_EQ, static_cast<std::uint64_t>(family)});
  rule_if(filter, kRefuse, SCMP_SYS(socket), {0, SCMP_CMP_GT, static_cast<std::uint64_t>(greatest)});
}

void allow_files(const Filter& filter) {
  rules(filter, SCMP_ACT_ALLOW, kFiles);
  rule_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD});
  for (const std::uint64_t request : std::initializer_list<std::uint64_t>{
           TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ, FIONREAD, FICLONE, FICLONERANGE})
    rule_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), {1, SCMP_CMP_MASKED_EQ, kRequestMask, request});
  hide_clone3(filter);
}

void add_rules(const Filter& filter, Calls calls) {
  if (lists_what_is_allowed(calls)) {
    if (calls == Calls::FilesAndMessages) rules(filter, SCMP_ACT_ALLOW, kMessages);
    return allow_files(filter);
  }
  rules(filter, kRefuse, kCommon);
  refuse_typing(filter);
  if (calls == Calls::Common) return;
  if (calls == Calls::Launcher) return refuse_sockets(filter, {AF_UNIX, AF_NETLINK});
  refuse_namespaces(filter);
  if (calls == Calls::Sandboxed) return refuse_sockets(filter, {AF_UNIX, AF_NETLINK});
  rules(filter, kRefuse, kExec);
  if (calls == Calls::Token) return refuse_sockets(filter, {AF_UNIX});
  refuse_sockets(filter, {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK});
}

Filter new_filter(Calls calls) {
  Filter out(seccomp_init(lists_what_is_allowed(calls) ? kRefuse : SCMP_ACT_ALLOW));
  if (!out) throw Error(ErrorKind::Internal, "the filter of system calls: no memory");
  return out;
}

}  // namespace

Bytes encode_filter(Calls calls) {
  const Filter filter = new_filter(calls);
  add_rules(filter, calls);
  const Fd file(memfd_create("filter", MFD_CLOEXEC));
  if (!file) throw_errno("memfd_create");
  must(seccomp_export_bpf(filter.get(), file.get()), "its export");
  Bytes out(file_size(file));
  read_exact(file, out, 0);
  return out;
}

bool filter_calls(Calls calls) {
  const Filter filter = new_filter(calls);
  // All threads; a library may have begun one. Kernels before 3.17 cannot.
  if (seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1) != 0) return false;
  add_rules(filter, calls);
  return seccomp_load(filter.get()) == 0;
}

}  // namespace qpcseal::process
