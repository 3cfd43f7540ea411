// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/reader.h"

#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

namespace {

// A container is mostly zeros up to the next page. The input leaves them out: lp(what lies at page 0),
// lp(what lies at the next page that is free)...
Bytes spread(ByteView input) {
  ByteReader reader(input, "fuzz");
  Bytes out;
  while (reader.remaining() > 0) {
    out.resize((out.size() + seal::kAlignment - 1) / seal::kAlignment * seal::kAlignment);
    append(out, reader.lp16());
  }
  return out;
}

void check(const seal::SealedNode& node, std::uint64_t size) {
  fuzz::require(node.slot_page() + seal::kPageSize <= size, "slots outside the file");
  for (const qpc::Segment& segment : node.container.layout().segments) {
    const std::uint64_t at = node.container.begin() + segment.data_position;
    fuzz::require(at <= size && segment.size <= size - at, "data outside the file");
  }
  static_cast<void>(node.slots());
}

}  // namespace

QPCSEAL_FUZZ_TARGET(input) {
  static const Fd file(memfd_create("fuzz", MFD_CLOEXEC));
  fuzz::accepted([&] {
    const Bytes bytes = spread(input);
    fuzz::require(ftruncate(file.get(), 0) == 0, "ftruncate");
    write_exact(file, bytes, 0);
    const seal::SealedTree tree = seal::SealedTree::read(file);
    fuzz::require(tree.file_size() == bytes.size(), "another size than the file's");
    check(tree.root(), bytes.size());
    for (const seal::SealedNode& partition : tree.partitions()) check(partition, bytes.size());
  });
}
