// SPDX-License-Identifier: Apache-2.0
// libintruder.so: a PKCS #11 module that, when it is initialized, tries what no token's module needs. It has
// a token for each trial, whose label says what came of it: "exec: done", "exec: EPERM". So `doctor --list`
// shows what a module could do inside the program, and a program that loads the module bare shows that each
// trial works where nothing confines it.
//
// INTRUDER_LOG names a file for the same lines, for programs that do not show labels. Of a program that loads
// no module, INTRUDER_AT_EXIT and LD_PRELOAD show the same: it tries when the program ends, and the lines go
// to standard error.
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <p11-kit/pkcs11.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace {

constexpr const char *kSecret = "/etc/shadow", *kOutside = "/var/tmp/qpcseal-test-intruder";

std::string outcome(long result) { return result >= 0 ? "done" : strerrorname_np(errno); }

std::string of_descriptor(int fd) {
  std::string out = outcome(fd);
  if (fd >= 0) close(fd);
  return out;
}

// The child's exit status is the errno of what it tried.
std::string in_child(const std::function<int()>& trial) {
  const pid_t child = fork();
  if (child == 0) _exit(trial());
  if (child < 0) return outcome(-1);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status)) return "killed";
  return WEXITSTATUS(status) == 0 ? "done" : strerrorname_np(WEXITSTATUS(status));
}

int error_of(long result) { return result >= 0 ? 0 : errno; }

std::string try_exec() {
  return in_child([] {
    char name[] = "/bin/true";
    char* words[] = {name, nullptr};
    char* none[] = {nullptr};
    execve(name, words, none);
    return errno;
  });
}

std::string try_memory() {
  char from = 'x', to = 0;
  const iovec local{&to, 1}, remote{&from, 1};
  return outcome(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
}

std::string try_io_uring() {
  io_uring_params parameters{};
  return of_descriptor(static_cast<int>(syscall(SYS_io_uring_setup, 1, &parameters)));
}

std::string try_bpf() {
  bpf_attr map{};
  map.map_type = BPF_MAP_TYPE_ARRAY;
  map.key_size = map.value_size = 4;
  map.max_entries = 1;
  return of_descriptor(static_cast<int>(syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map)));
}

std::string try_watching() {
  perf_event_attr event{};
  event.size = sizeof event;
  event.type = PERF_TYPE_SOFTWARE;
  event.config = PERF_COUNT_SW_CPU_CLOCK;
  return of_descriptor(static_cast<int>(syscall(SYS_perf_event_open, &event, 0, -1, -1, 0)));
}

// The folder is not there: whoever may mount learns that.
std::string try_mount() { return outcome(mount("none", "/proc/self/nothing", "tmpfs", 0, nullptr)); }

std::string try_making() {
  const int fd = open(kOutside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  std::string out = outcome(fd);
  if (fd >= 0) {
    close(fd);
    unlink(kOutside);
  }
  return out;
}

struct Trial {
  const char* name;
  std::function<std::string()> run;
};

const std::vector<Trial>& trials() {
  static const std::vector<Trial> all = {
      {"inet", [] { return of_descriptor(socket(AF_INET, SOCK_STREAM, 0)); }},
      {"inet6", [] { return of_descriptor(socket(AF_INET6, SOCK_DGRAM, 0)); }},
      {"packet", [] { return of_descriptor(socket(AF_PACKET, SOCK_RAW, 0)); }},
      {"netlink", [] { return of_descriptor(socket(AF_NETLINK, SOCK_RAW, 0)); }},
      {"unix", [] { return of_descriptor(socket(AF_UNIX, SOCK_STREAM, 0)); }},
      {"exec", try_exec},
      {"read", [] { return of_descriptor(open(kSecret, O_RDONLY | O_CLOEXEC)); }},
      {"make", try_making},
      {"ptrace",
       [] { return in_child([] { return error_of(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }); }},
      {"memory", try_memory},
      {"unshare", [] { return in_child([] { return error_of(unshare(CLONE_NEWNS)); }); }},
      {"mount", try_mount},
      {"tree", [] { return of_descriptor(static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, "/", 1))); }},
      {"driver", [] { return outcome(syscall(SYS_finit_module, -1, "", 0)); }},
      {"bpf", try_bpf},
      {"watch", try_watching},
      {"namespace",
       [] {
         return in_child([] {
           const long child = syscall(SYS_clone, CLONE_NEWUTS, nullptr, nullptr, nullptr, nullptr);
           if (child == 0) _exit(0);
           return error_of(child);
         });
       }},
      {"io_uring", try_io_uring},
      {"userfault", [] { return of_descriptor(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC))); }},
      {"keyring", [] { return outcome(syscall(SYS_keyctl, 0, -2, 0)); }},  // KEYCTL_GET_KEYRING_ID
      {"descriptor", [] { return outcome(fcntl(57, F_GETFD)); }},
      {"dumpable", [] { return prctl(PR_GET_DUMPABLE) == 0 ? "no" : "yes"; }},
      {"privileges", [] { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? "none new" : "new"; }},
      {"variable", [] { return getenv("P11_KIT_STRICT") == nullptr ? "cleared" : "there"; }},
  };
  return all;
}

std::vector<std::string>& outcomes() {
  static std::vector<std::string> all;
  return all;
}

template <std::size_t N>
void fill(unsigned char (&field)[N], const std::string& text) {
  std::memset(field, ' ', N);
  std::memcpy(field, text.data(), std::min(N, text.size()));
}

void try_all() {
  for (const Trial& trial : trials()) outcomes().push_back(trial.name + std::string(": ") + trial.run());
}

void try_at_exit() {
  try_all();
  for (const std::string& line : outcomes()) static_cast<void>(dprintf(STDERR_FILENO, "%s\n", line.c_str()));
}

__attribute__((constructor)) void preloaded() {
  if (getenv("INTRUDER_AT_EXIT") != nullptr) static_cast<void>(atexit(try_at_exit));
}

CK_RV initialize(void*) {
  try_all();
  if (const char* log = getenv("INTRUDER_LOG"); log != nullptr) {
    std::ofstream file(log);
    for (const std::string& line : outcomes()) file << line << "\n";
  }
  return CKR_OK;
}

CK_RV info(CK_INFO* out) {
  *out = {};
  out->cryptokiVersion = {2, 40};
  fill(out->manufacturerID, "tests");
  fill(out->libraryDescription, "intruder");
  return CKR_OK;
}

CK_RV slot_info(CK_SLOT_ID slot, CK_SLOT_INFO* out) {
  *out = {};
  fill(out->slotDescription, std::to_string(slot));
  fill(out->manufacturerID, "tests");
  out->flags = CKF_TOKEN_PRESENT;
  return CKR_OK;
}

// Any call beyond looking at slots.
template <typename... Arguments>
CK_RV not_supported(Arguments...) {
  return CKR_FUNCTION_NOT_SUPPORTED;
}

template <typename... Calls>
void refuse(Calls&... calls) {
  ((calls = not_supported), ...);
}

CK_RV finalize(void*) { return CKR_OK; }

CK_RV slots(unsigned char, CK_SLOT_ID* out, CK_ULONG* count) {
  *count = outcomes().size();
  if (out != nullptr)
    for (CK_ULONG i = 0; i < *count; ++i) out[i] = i;
  return CKR_OK;
}

CK_RV token(CK_SLOT_ID slot, CK_TOKEN_INFO* out) {
  if (slot >= outcomes().size()) return CKR_SLOT_ID_INVALID;
  *out = {};
  fill(out->label, outcomes()[slot]);
  fill(out->manufacturerID, "tests");
  fill(out->model, "intruder");
  fill(out->serialNumber, std::to_string(slot));
  out->flags = CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED | CKF_LOGIN_REQUIRED;
  return CKR_OK;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** out) {
  static CK_FUNCTION_LIST list{};
  list.version = {2, 40};
  list.C_Initialize = initialize;
  list.C_Finalize = finalize;
  list.C_GetInfo = info;
  list.C_GetSlotList = slots;
  list.C_GetSlotInfo = slot_info;
  list.C_GetTokenInfo = token;
  refuse(list.C_OpenSession, list.C_CloseSession, list.C_CloseAllSessions, list.C_GetSessionInfo,
         list.C_Login, list.C_Logout, list.C_FindObjectsInit, list.C_FindObjects, list.C_FindObjectsFinal,
         list.C_GetMechanismList);
  *out = &list;
  return CKR_OK;
}
