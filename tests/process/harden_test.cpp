// SPDX-License-Identifier: Apache-2.0
#include "process/harden.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "tests/process/in_child.h"

namespace qpcseal::process {
namespace {

using tests::in_child;

TEST(Harden, LeavesNoDumpsAndNoNewPrivileges) {
  EXPECT_EQ(in_child([] {
              harden();
              rlimit core{};
              getrlimit(RLIMIT_CORE, &core);
              return prctl(PR_GET_DUMPABLE) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
                             core.rlim_max <= 1
                         ? 0
                         : 1;
            }),
            0);
}

TEST(Harden, MakesClosedStandardDescriptorsDevNull) {
  EXPECT_EQ(in_child([] {
              close(STDOUT_FILENO);
              harden();
              return write(STDOUT_FILENO, "x", 1) == 1 && open("/dev/null", O_RDONLY) > STDERR_FILENO ? 0 : 1;
            }),
            0);
}

TEST(Harden, ClearsWhatLoadsCodeAndKeepsTheRest) {
  const std::array codes = {"LD_PRELOAD",     "LD_AUDIT",      "OPENSSL_CONF",     "OPENSSL_MODULES",
                            "P11_KIT_STRICT", "GCONV_PATH",    "LOCPATH",          "NLSPATH",
                            "OPENSC_CONF",    "TSS2_LOG",      "TPM2_PKCS11_TCTI", "LIBPCSCLITE_DELEGATE",
                            "MALLOC_CHECK_",  "GLIBC_TUNABLES"};
  for (const char* name : codes) EXPECT_TRUE(loads_code(name)) << name;
  for (const char* name : {"HOME", "QPCSEAL_HOME", "SOFTHSM2_CONF", "LANG", "TERM", "PATH"})
    EXPECT_FALSE(loads_code(name)) << name;
  EXPECT_EQ(in_child([&] {
              for (const char* name : codes) setenv(name, "x", 1);
              setenv("QPCSEAL_HOME", "/h", 1);
              clear_environment();
              for (const char* name : codes)
                if (getenv(name) != nullptr) return 1;
              return getenv("QPCSEAL_HOME") != nullptr ? 0 : 2;
            }),
            0);
}

TEST(Harden, NamesTheDescriptorsOfACommandLine) {
  std::array<std::string, 4> texts = {"inspect", "/dev/fd/63", "--key=/proc/self/fd/7", "/dev/fd/x"};
  std::array<char*, 4> words{};
  for (std::size_t i = 0; i < texts.size(); ++i) words.at(i) = texts.at(i).data();
  EXPECT_EQ(named_descriptors(words), (std::set<int>{7, 63}));
}

TEST(Harden, ClosesAllDescriptorsButThoseThatWereGiven) {
  EXPECT_EQ(in_child([] {
              for (const int fd : {20, 21, 22}) dup2(STDERR_FILENO, fd);
              close_others({21});
              const bool others_closed = fcntl(20, F_GETFD) < 0 && fcntl(22, F_GETFD) < 0;
              return others_closed && fcntl(21, F_GETFD) >= 0 && fcntl(STDERR_FILENO, F_GETFD) >= 0 ? 0 : 1;
            }),
            0);
}

TEST(Harden, LocksMemoryOnlyWhereAllocationsCannotFailForIt) {
  EXPECT_EQ(in_child([] {
              if (geteuid() == 0 && setuid(65534) != 0) return 2;
              const rlimit little{1 << 20, 1 << 20};
              setrlimit(RLIMIT_MEMLOCK, &little);
              return lock_memory() ? 1 : 0;
            }),
            0);
}

}  // namespace
}  // namespace qpcseal::process
