// SPDX-License-Identifier: Apache-2.0
#include "tests/qpc/builder.h"

#include <sys/mman.h>

#include <stdexcept>

namespace qpcseal::testing {

Bytes build_qpc(const std::vector<QpcSegment>& segments, Flavour flavour) {
  const std::uint64_t base = flavour == Flavour::Buffer ? kHeap : 0;
  const auto align = [&](Bytes& out) {
    while (flavour == Flavour::Buffer && out.size() % 8 != 0) out.push_back(0);
  };
  Bytes out(qpc::kHeaderSize + qpc::kRowSize * segments.size());
  put_le(out, kMagicAt, qpc::kMagic, 4);
  put_le(out, kMinorAt, 1, 1);
  put_le(out, kCompressionAt, 1, 2);
  put_le(out, kBaseAt, base);
  put_le(out, kCountAt, segments.size());
  put_le(out, kTableAt, base + qpc::kHeaderSize);
  for (std::size_t i = 0; i < segments.size(); ++i) {
    put_le(out, row_name_at(i), base + out.size());
    append(out, segments[i].name);
    out.push_back(0);
    align(out);
  }
  for (std::size_t i = 0; i < segments.size(); ++i) {
    put_le(out, row_size_at(i), segments[i].data.size());
    put_le(out, row_offset_at(i), segments[i].offset);
    put_le(out, row_data_at(i), base + out.size());
    append(out, segments[i].data);
    align(out);
  }
  put_le(out, kSizeAt, out.size());
  return out;
}

std::vector<QpcSegment> usual_segments() {
  return {{"network.elf", Bytes(40, 0x7f), 0},
          {"constants.bin", Bytes(33, 0xcc), 20},
          {"constantsdesc.bin", Bytes(5, 1), 0},
          {"networkdesc.bin", Bytes(9, 2), 0}};
}

void put_le(Bytes& bytes, std::size_t at, std::uint64_t value, unsigned width) {
  for (unsigned i = 0; i < width; ++i) bytes.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
}

std::uint64_t get_le(const Bytes& bytes, std::size_t at, unsigned width) {
  return load_le(ByteView(bytes).subspan(at, width));
}

qpc::Container read_qpc(const Bytes& bytes) {
  const Fd file(memfd_create("qpc", MFD_CLOEXEC));
  if (!file) throw std::runtime_error("memfd_create failed");
  write_exact(file, bytes, 0);
  return qpc::Container::read(file);
}

}  // namespace qpcseal::testing
