// SPDX-License-Identifier: Apache-2.0
// Plain QPCs to try things on, in both flavours that compilers write, also of several partitions.
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "device/loader/load_commands.h"
#include "device/loader/sample_elf.h"
#include "qpc/container.h"

namespace qpcseal::device {

namespace {

constexpr unsigned kMaxPartitions = 64;
constexpr std::uint64_t kHeap = 0x7fd92ad28010;  // where a compiler's buffer may have been
constexpr std::uint64_t kItem = 8;               // bytes: alignment in a buffer
constexpr std::size_t kWritePiece = std::size_t{1} << 20;

struct SampleOptions {
  std::string out, flavour = "file", info = "json";
  std::uint64_t size = std::uint64_t{1} << 20;
  unsigned partitions = 0;
};

using Rows = std::vector<qpc::Segment>;

// Bytes that look like nothing in particular, the same in each run.
class Filler {
 public:
  explicit Filler(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
  void fill(MutableBytes out) {
    for (auto& byte : out) {
      state_ ^= state_ << 13;
      state_ ^= state_ >> 7;
      state_ ^= state_ << 17;
      byte = static_cast<std::uint8_t>(state_);
    }
  }

 private:
  std::uint64_t state_;
};

Bytes filled(std::size_t size, std::uint64_t seed) {
  Bytes out(size);
  Filler(seed).fill(out);
  return out;
}

std::uint64_t align(std::uint64_t at) { return (at + kItem - 1) / kItem * kItem; }

// Built in a buffer: header, table, names and data, each item 8-byte aligned, pointers with the buffer's
// address. Sets the data's positions; returns what stands before the data, and the file's size.
std::pair<Bytes, std::uint64_t> build_in_buffer(Rows& rows) {
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

std::pair<Bytes, std::uint64_t> build_from_files(Rows& rows) {
  const std::uint64_t size = qpc::place_unaligned(rows);
  return {qpc::encode_front(rows, size), size};
}

std::uint64_t code_size(std::uint64_t constants) { return (constants / 4) + 1; }

Rows model_rows(std::uint64_t size) {
  return {{"network.elf", sample_elf(code_size(size)).size(code_size(size)), 0, 0},
          {"constants.bin", size, size / 2, 0},
          {"constantsdesc.bin", 512, 0, 0},
          {"networkdesc.bin", 2048, 0, 0},
          {"metadata.crc", 4, 0, 0},
          {"constants.bin.crc", 4, 0, 0}};
}

std::uint64_t write_model(const SampleOptions& options, const Fd& file) {
  Rows rows = model_rows(options.size);
  const auto [front, size] = options.flavour == "buffer" ? build_in_buffer(rows) : build_from_files(rows);
  write_exact(file, front, 0);
  Bytes piece(kWritePiece);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Filler filler(i + 1);
    for (std::uint64_t at = 0; at < rows[i].size; at += piece.size()) {
      const MutableBytes part =
          MutableBytes(piece).first(std::min<std::uint64_t>(kWritePiece, rows[i].size - at));
      filler.fill(part);
      write_exact(file, part, rows[i].data_position + at);
    }
  }
  const SampleElf elf = sample_elf(code_size(options.size));
  write_exact(file, elf.head, rows[0].data_position);
  write_exact(file, elf.tail, rows[0].data_position + rows[0].size - elf.tail.size());
  return size;
}

Bytes inner_model(std::uint64_t size, std::uint64_t seed) {
  Rows rows = model_rows(size);
  Bytes out = build_from_files(rows).first;
  const SampleElf elf = sample_elf(code_size(size));
  append(out, elf.head);
  append(out, filled(code_size(size), seed + 1));
  append(out, elf.tail);
  for (std::size_t i = 1; i < rows.size(); ++i) append(out, filled(rows[i].size, seed + i + 1));
  return out;
}

// Names the partitions from the last in the file to the first: whoever ignores it gets them wrong.
Bytes partition_info(unsigned count) {
  std::string text = R"({"version": 1, "partitions": [)";
  for (unsigned i = count; i-- > 0;)
    text += R"({"qpc": "partition-)" + std::to_string(i) + R"(.qpc"})" + (i > 0 ? ", " : "]}");
  return copy(view(text));
}

std::uint64_t write_partitions(const SampleOptions& options, const Fd& file) {
  Rows rows;
  std::vector<Bytes> data;
  const auto add = [&](std::string name, Bytes bytes) {
    rows.push_back({std::move(name), bytes.size(), 0, 0});
    data.push_back(std::move(bytes));
  };
  for (unsigned i = 0; i < options.partitions; ++i)
    add("partition-" + std::to_string(i) + ".qpc",
        inner_model(options.size / options.partitions + 1, std::uint64_t{10} * (i + 1)));
  if (options.info == "json") add("mdp_meta_info", partition_info(options.partitions));
  if (options.info == "opaque") add("mdp_meta_info", filled(300, 7));
  const auto [front, size] = build_from_files(rows);
  write_exact(file, front, 0);
  for (std::size_t i = 0; i < rows.size(); ++i) write_exact(file, data[i], rows[i].data_position);
  return size;
}

int run_sample(const SampleOptions& options) {
  AtomicFile file(options.out, Existing::Refuse);
  const std::uint64_t size =
      options.partitions == 0 ? write_model(options, file.fd()) : write_partitions(options, file.fd());
  if (ftruncate(file.fd().get(), static_cast<off_t>(size)) != 0) throw_errno(options.out);
  file.commit();
  print("wrote " + options.out + ", a plain QPC of " + std::to_string(size) + " bytes\n");
  return 0;
}

}  // namespace

void add_sample(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("sample", "Write a plain QPC to try things on");
  auto options = std::make_shared<SampleOptions>();
  command->add_option("--out", options->out, "File")->required();
  command->add_option("--size", options->size, "Bytes of constants.bin, of all partitions (default 1 MiB)")
      ->check(CLI::Range(std::uint64_t{2}, std::uint64_t{1} << 36));
  command
      ->add_option("--flavour", options->flavour,
                   "file (default): base 0, nothing aligned; buffer: a stale address as base, all aligned")
      ->check(CLI::IsMember({"file", "buffer"}));
  command->add_option("--partitions", options->partitions, "A model for so many cards, in as many inner QPCs")
      ->check(CLI::Range(1U, kMaxPartitions));
  command
      ->add_option("--mdp-info", options->info,
                   "Segment mdp_meta_info: json (default; the last partition first), opaque or absent")
      ->check(CLI::IsMember({"json", "opaque", "absent"}));
  command->callback([&context, options] { context.command = [options] { return run_sample(*options); }; });
}

}  // namespace qpcseal::device
