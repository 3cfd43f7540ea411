// Plain QPCs to try things on, in both flavours that compilers write.
#include <cstdio>
#include <memory>

#include "appliance/qpc/container.h"
#include "attest/device/loader/commands.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::device {

namespace {

constexpr std::uint64_t kHeap = 0x7fd92ad28010;  // where a compiler's buffer may have been
constexpr std::uint64_t kItem = 8;               // bytes: alignment in a buffer
constexpr std::size_t kPiece = std::size_t{1} << 20;

struct SampleOptions {
  std::string out, flavour = "file";
  std::uint64_t size = std::uint64_t{1} << 20;
};

std::uint64_t align(std::uint64_t at) { return (at + kItem - 1) / kItem * kItem; }

// Built in a buffer: header, table, names and data, each item 8-byte aligned, pointers with the buffer's
// address. Sets the data's positions; returns what stands before the data, and the file's size.
std::pair<Bytes, std::uint64_t> build_in_buffer(std::vector<qpc::Segment>& rows) {
  std::uint64_t at = qpc::kHeaderSize + rows.size() * qpc::kRowSize;
  std::vector<std::uint64_t> names;
  for (const qpc::Segment& row : rows) {
    names.push_back(at);
    at = align(at + row.name.size() + 1);
  }
  Bytes front(at);
  for (qpc::Segment& row : rows) {
    row.data_position = at;
    at = align(at + row.size);
  }
  Bytes head;
  append_le(head, qpc::kMagic, 4);
  append_le(head, std::uint64_t{1} << 8 | std::uint64_t{1} << 16, 4);  // version 0.1, compression 1
  for (const std::uint64_t field : {at, kHeap, std::uint64_t{rows.size()}, kHeap + qpc::kHeaderSize})
    append_le(head, field, 8);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (const std::uint64_t field :
         {rows[i].size, rows[i].offset, kHeap + names[i], kHeap + rows[i].data_position})
      append_le(head, field, 8);
  std::copy(head.begin(), head.end(), front.begin());
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::copy(rows[i].name.begin(), rows[i].name.end(),
              front.begin() + static_cast<std::ptrdiff_t>(names[i]));
  return {std::move(front), at};
}

std::pair<Bytes, std::uint64_t> build_from_files(std::vector<qpc::Segment>& rows) {
  const std::uint64_t size = qpc::place_unaligned(rows);
  return {qpc::encode_front(rows, size), size};
}

// Bytes that look like nothing in particular, the same in each run.
void write_filler(const Fd& file, std::uint64_t from, std::uint64_t size, std::uint64_t seed) {
  std::uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;
  Bytes piece;
  for (std::uint64_t at = 0; at < size; at += piece.size()) {
    piece.resize(std::min<std::uint64_t>(kPiece, size - at));
    for (auto& byte : piece) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      byte = static_cast<std::uint8_t>(state);
    }
    write_exact(file, piece, from + at);
  }
}

int run_sample(const SampleOptions& options) {
  std::vector<qpc::Segment> rows{{"network.elf", options.size / 4 + 1, 0, 0},
                                 {"constants.bin", options.size, options.size / 2, 0},
                                 {"constantsdesc.bin", 512, 0, 0},
                                 {"networkdesc.bin", 2048, 0, 0},
                                 {"metadata.crc", 4, 0, 0},
                                 {"constants.bin.crc", 4, 0, 0}};
  const auto [front, size] = options.flavour == "buffer" ? build_in_buffer(rows) : build_from_files(rows);
  AtomicFile file(options.out, Existing::Refuse);
  write_exact(file.fd(), front, 0);
  for (std::size_t i = 0; i < rows.size(); ++i)
    write_filler(file.fd(), rows[i].data_position, rows[i].size, i + 1);
  if (ftruncate(file.fd().get(), static_cast<off_t>(size)) != 0) throw_errno(options.out);
  file.commit();
  std::printf("wrote %s, a plain QPC of %llu bytes\n", options.out.c_str(),
              static_cast<unsigned long long>(size));
  return 0;
}

}  // namespace

void add_sample(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("sample", "Write a plain QPC to try things on");
  auto options = std::make_shared<SampleOptions>();
  command->add_option("--out", options->out, "File")->required();
  command->add_option("--size", options->size, "Bytes of constants.bin (default 1 MiB)")
      ->check(CLI::Range(std::uint64_t{2}, std::uint64_t{1} << 36));
  command
      ->add_option("--flavour", options->flavour,
                   "file (default): base 0, nothing aligned; buffer: a stale address as base, all aligned")
      ->check(CLI::IsMember({"file", "buffer"}));
  command->callback([&context, options] { context.command = [options] { return run_sample(*options); }; });
}

}  // namespace qpcseal::device
