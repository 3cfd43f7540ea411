// SPDX-License-Identifier: Apache-2.0
#include "process/harden.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/program.h"

namespace qpcseal::process {

namespace {

constexpr rlim_t kOpenFiles = 65536;

// TCTI and OPENSC_CONF name libraries of TPM and card modules; GLIBC_TUNABLES changes the allocator.
constexpr std::array<std::string_view, 7> kPrefixes = {"LD_",   "OPENSSL_", "P11_KIT_", "OPENSC_",
                                                       "TSS2_", "GCONV_",   "MALLOC_"};
constexpr std::array<std::string_view, 5> kNames = {"LOCPATH", "NLSPATH", "GLIBC_TUNABLES",
                                                    "TPM2_PKCS11_TCTI", "LIBPCSCLITE_DELEGATE"};
constexpr std::array<std::string_view, 2> kDescriptorFolders = {"/dev/fd/", "/proc/self/fd/"};

void open_standard_descriptors() {
  for (int fd = 0; fd < 3; ++fd)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) throw_errno("/dev/null");
}

bool has_capability(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (syscall(SYS_capget, &header, data.data()) != 0) return false;
  return (data.at(CAP_TO_INDEX(capability)).effective & CAP_TO_MASK(capability)) != 0;
}

void close_from_to(unsigned first, unsigned last) {
  if (first <= last && close_range(first, last, 0) != 0) throw_errno("close_range");
}

}  // namespace

bool loads_code(const std::string& variable) {
  const auto starts = [&](std::string_view prefix) { return variable.starts_with(prefix); };
  return std::ranges::any_of(kPrefixes, starts) || std::ranges::find(kNames, variable) != kNames.end();
}

void clear_environment() {
  std::vector<std::string> found;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (std::string name(text.substr(0, text.find('='))); loads_code(name)) found.push_back(std::move(name));
  }
  for (const std::string& name : found) unsetenv(name.c_str());
}

std::set<int> named_descriptors(std::span<char* const> words) {
  std::set<int> out;
  for (const std::string_view word : words)
    for (const std::string_view dir : kDescriptorFolders) {
      const std::size_t at = word.find(dir);  // "--key=/dev/fd/5" too
      if (at == std::string_view::npos) continue;
      int fd = -1;
      std::from_chars(word.data() + at + dir.size(), word.data() + word.size(), fd);
      if (fd >= 0) out.insert(fd);
    }
  return out;
}

void close_others(const std::set<int>& kept) {
  unsigned first = STDERR_FILENO + 1;
  for (const int fd : kept) {
    const auto here = static_cast<unsigned>(fd);
    if (here < first) continue;
    if (here > first) close_from_to(first, here - 1);
    first = here + 1;
  }
  close_from_to(first, std::numeric_limits<unsigned>::max());
}

bool lock_memory() {
  rlimit limit{};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return false;
  if (limit.rlim_cur != RLIM_INFINITY && !has_capability(CAP_IPC_LOCK)) return false;
  return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

void harden() {
  open_standard_descriptors();
  // No dump fits into one byte, and 1 is the one limit that a kernel which pipes dumps elsewhere heeds
  // (core(5)).
  rlimit none{};
  if (getrlimit(RLIMIT_CORE, &none) != 0) throw_errno("getrlimit(RLIMIT_CORE)");
  none.rlim_max = std::min<rlim_t>(none.rlim_max, 1);
  none.rlim_cur = none.rlim_max;
  if (setrlimit(RLIMIT_CORE, &none) != 0) throw_errno("setrlimit(RLIMIT_CORE)");
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) throw_errno("prctl(PR_SET_DUMPABLE)");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw_errno("prctl(PR_SET_NO_NEW_PRIVS)");
  rlimit files{};  // outputs for many cards are open at once
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, kOpenFiles);
    static_cast<void>(setrlimit(RLIMIT_NOFILE, &files));  // fewer will do for most
  }
  make_write_signals_errors();
  clear_environment();
  // The first call decides for the process: whoever asks for the configuration later, gets none. A library
  // context of our own (OSSL_LIB_CTX) would add nothing: officers' keys (libp11) live in the default one, and
  // a token's module shares the memory of any.
  if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) != 1)
    throw Error(ErrorKind::Internal, "OpenSSL does not start");
}

}  // namespace qpcseal::process
