// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>
#include <unistd.h>

#include "base/utf8.h"
#include "qpc/container.h"
#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

QPCSEAL_FUZZ_TARGET(input) {
  static const Fd file(memfd_create("fuzz", MFD_CLOEXEC));
  fuzz::require(ftruncate(file.get(), 0) == 0, "ftruncate");
  write_exact(file, input, 0);
  fuzz::accepted([&] {
    const qpc::Container container = qpc::Container::read(file);
    for (const qpc::Segment& segment : container.segments()) {
      fuzz::require(segment.data_position <= input.size(), "data outside the file");
      fuzz::require(segment.size <= input.size() - segment.data_position, "data beyond the file");
      fuzz::require(segment.name != qpc::kConstants || segment.offset <= segment.size,
                    "offset beyond the size");
      fuzz::require(is_utf8(segment.name), "a name that is no UTF-8");
      fuzz::require(container.find(segment.name) == &segment, "two segments of one name");
    }
  });
}
