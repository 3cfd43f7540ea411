// SPDX-License-Identifier: Apache-2.0
// old-kernel CALL[,CALL...] PROGRAM ARGUMENTS...: runs the program as on a kernel without these system calls
// (ENOSYS).
#include <seccomp.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <string>

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  void* filter = seccomp_init(SCMP_ACT_ALLOW);
  std::istringstream names(argv[1]);
  for (std::string name; std::getline(names, name, ',');)
    if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), seccomp_syscall_resolve_name(name.c_str()), 0) != 0)
      return 2;
  if (seccomp_load(filter) != 0) return 2;
  execv(argv[2], argv + 2);
  return 127;
}
