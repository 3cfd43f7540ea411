// `sample`: plain QPCs to try things on, also of several partitions.
#include <memory>

#include "appliance/qpc/container.h"
#include "attest/device/loader/commands.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::device {

namespace {

constexpr unsigned kMaxPartitions = 64;

struct SampleOptions {
  std::string out, info = "json";
  std::size_t size = std::size_t{1} << 20;
  unsigned partitions = 0;
};

struct Piece {
  std::string name;
  Bytes data;
  std::uint64_t offset = 0;
};

// Bytes that look like nothing in particular, the same in each run.
Bytes filler(std::size_t size, std::uint64_t seed) {
  Bytes out(size);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;
  for (auto& byte : out) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<std::uint8_t>(state);
  }
  return out;
}

std::uint64_t write_qpc(const Fd& file, const std::vector<Piece>& pieces) {
  std::vector<qpc::Segment> rows;
  for (const Piece& piece : pieces) rows.push_back({piece.name, piece.data.size(), piece.offset, 0});
  const std::uint64_t total = qpc::place_unaligned(rows);
  write_exact(file, qpc::encode_front(rows, total), 0);
  for (std::size_t i = 0; i < rows.size(); ++i) write_exact(file, pieces[i].data, rows[i].data_position);
  return total;
}

Bytes encode_qpc(const std::vector<Piece>& pieces) {
  std::vector<qpc::Segment> rows;
  for (const Piece& piece : pieces) rows.push_back({piece.name, piece.data.size(), piece.offset, 0});
  Bytes out = qpc::encode_front(rows, qpc::place_unaligned(rows));
  for (const Piece& piece : pieces) append(out, piece.data);
  return out;
}

std::vector<Piece> model(std::size_t size, std::uint64_t seed) {
  return {
      {"network.elf", filler(size / 4 + 1, seed + 1)}, {"constants.bin", filler(size, seed + 2), size / 2},
      {"constantsdesc.bin", filler(512, seed + 3)},    {"networkdesc.bin", filler(2048, seed + 4)},
      {"metadata.crc", filler(4, seed + 5)},           {"constants.bin.crc", filler(4, seed + 6)}};
}

// Names the partitions from the last in the file to the first: whoever ignores it gets them wrong.
Bytes partition_info(const std::vector<Piece>& partitions) {
  std::string text = R"({"version": 1, "partitions": [)";
  for (std::size_t i = partitions.size(); i-- > 0;)
    text += R"({"qpc": ")" + partitions[i].name + R"("})" + (i > 0 ? ", " : "]}");
  return copy(view(text));
}

std::vector<Piece> partitioned(const SampleOptions& options) {
  std::vector<Piece> out;
  for (unsigned i = 0; i < options.partitions; ++i)
    out.push_back({"partition-" + std::to_string(i) + ".qpc",
                   encode_qpc(model(options.size / options.partitions + 1, 10 * (i + 1)))});
  if (options.info == "json") out.push_back({"mdp_meta_info", partition_info(out)});
  if (options.info == "opaque") out.push_back({"mdp_meta_info", filler(300, 7)});
  return out;
}

int run_sample(const SampleOptions& options) {
  AtomicFile file(options.out, Existing::Refuse);
  const std::uint64_t total =
      write_qpc(file.fd(), options.partitions == 0 ? model(options.size, 0) : partitioned(options));
  file.commit();
  print("wrote " + options.out + ", a plain QPC of " + std::to_string(total) + " bytes\n");
  return 0;
}

}  // namespace

void add_sample(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("sample", "Write a plain QPC to try things on");
  auto options = std::make_shared<SampleOptions>();
  command->add_option("--out", options->out, "File")->required();
  command->add_option("--size", options->size, "Bytes of constants.bin, of all partitions (default 1 MiB)")
      ->check(CLI::Range(std::size_t{2}, std::size_t{1} << 36));
  command->add_option("--partitions", options->partitions, "A model for so many cards, in as many inner QPCs")
      ->check(CLI::Range(1U, kMaxPartitions));
  command
      ->add_option("--mdp-info", options->info,
                   "Segment mdp_meta_info: json (default; the last partition first), opaque or absent")
      ->check(CLI::IsMember({"json", "opaque", "absent"}));
  command->callback([&context, options] { context.command = [options] { return run_sample(*options); }; });
}

}  // namespace qpcseal::device
