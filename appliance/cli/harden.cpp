// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/harden.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/program.h"

namespace qpcseal::cli {

namespace {

constexpr rlim_t kOpenFiles = 65536;

void open_standard_descriptors() {
  for (int fd = 0; fd < 3; ++fd)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) throw_errno("/dev/null");
}

}  // namespace

void harden_process() {
  open_standard_descriptors();
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) throw_errno("setrlimit(RLIMIT_CORE)");
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) throw_errno("prctl(PR_SET_DUMPABLE)");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw_errno("prctl(PR_SET_NO_NEW_PRIVS)");
  rlimit files{};  // outputs for many cards are open at once
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, kOpenFiles);
    static_cast<void>(setrlimit(RLIMIT_NOFILE, &files));  // fewer will do for most
  }
  umask(077);
  make_write_signals_errors();
  if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) != 1)
    throw Error(ErrorKind::Internal, "OpenSSL does not start");
}

}  // namespace qpcseal::cli
