#include "attest/device/loader/commands.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "appliance/qpc/container.h"
#include "attest/device/loader/load.h"
#include "base/error.h"

namespace qpcseal::device {

namespace {

constexpr int kDifferent = 5;
constexpr std::size_t kPiece = std::size_t{1} << 20;  // bytes

struct LoadOptions {
  std::string folder, file, out;
  unsigned device = 0;
  bool force = false, json = false;
};

int run_load(const LoadOptions& options) {
  const Card card = open_card(options.folder, options.device);
  std::optional<std::filesystem::path> out;
  if (!options.out.empty()) out = options.out;
  const Loaded loaded = load(options.file, card, out, options.force ? Existing::Replace : Existing::Refuse);
  const nlohmann::ordered_json json{
      {"device", options.device},    {"model", loaded.model_name}, {"model_version", loaded.model_version},
      {"segments", loaded.segments}, {"bytes", loaded.bytes},      {"seconds", loaded.seconds}};
  const std::string text =
      options.json
          ? json.dump(2)
          : "card " + std::to_string(options.device) + " loaded " + json["model"].dump() + " version " +
                std::to_string(loaded.model_version) + ": " + std::to_string(loaded.segments) +
                " segments, " + std::to_string(loaded.bytes) + " bytes";
  std::puts(text.c_str());
  return 0;
}

std::string difference(const Fd& a, const qpc::Segment& left, const Fd& b, const qpc::Segment& right) {
  if (left.name != right.name) return "'" + left.name + "' and '" + right.name + "' stand in the same place";
  if (left.size != right.size || left.offset != right.offset)
    return "'" + left.name + "' differs in size or offset";
  for (std::uint64_t at = 0; at < left.size; at += kPiece) {
    Bytes one(std::min<std::uint64_t>(kPiece, left.size - at)), other(one.size());
    read_exact(a, one, left.data_position + at);
    read_exact(b, other, right.data_position + at);
    if (one != other) return "'" + left.name + "' differs";
  }
  return {};
}

int run_compare(const std::string& first, const std::string& second) {
  const Fd a = open_to_read(first), b = open_to_read(second);
  const qpc::Container left = qpc::Container::read(a), right = qpc::Container::read(b);
  std::string found;
  if (left.segments().size() != right.segments().size()) found = "they have another number of segments";
  for (std::size_t i = 0; found.empty() && i < left.segments().size(); ++i)
    found = difference(a, left.segments()[i], b, right.segments()[i]);
  std::puts(found.empty() ? "the same segments, names, sizes, offsets and bytes" : found.c_str());
  return found.empty() ? 0 : kDifferent;
}

}  // namespace

void add_load(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("load", "Load a sealed model as the card would");
  auto options = std::make_shared<LoadOptions>();
  command->add_option("--dir", options->folder, "The cards' folder")->required();
  command->add_option("--device", options->device, "Which card")->required();
  command->add_option("FILE", options->file, "The sealed container")->required();
  command->add_option("--out", options->out, "Write the plain QPC that the card sees");
  command->add_flag("--force", options->force, "Replace an existing file");
  command->add_flag("--json", options->json, "Print the result as JSON");
  command->callback([&context, options] { context.command = [options] { return run_load(*options); }; });
}

void add_compare(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("compare", "Whether two plain QPCs hold the same segments (exit 5: no)");
  auto files = std::make_shared<std::pair<std::string, std::string>>();
  command->add_option("A", files->first, "A QPC")->required();
  command->add_option("B", files->second, "Another")->required();
  command->callback(
      [&context, files] { context.command = [files] { return run_compare(files->first, files->second); }; });
}

}  // namespace qpcseal::device
