// SPDX-License-Identifier: Apache-2.0
#include "confine/memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "base/error.h"

namespace qpcseal::confine {

Fd memory_file(ByteView bytes) {
  Fd out(memfd_create("qpcseal", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!out) throw_errno("memfd_create");
  write_exact(out, bytes, 0);
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (fcntl(out.get(), F_ADD_SEALS, kSeals) != 0) throw_errno("memfd");
  return out;
}

}  // namespace qpcseal::confine
