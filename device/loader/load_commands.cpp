// SPDX-License-Identifier: Apache-2.0
#include "device/loader/load_commands.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "attest/devices.h"
#include "base/error.h"
#include "base/print.h"
#include "base/text.h"
#include "device/loader/host_settings.h"
#include "device/loader/load.h"
#include "device/loader/loaded_set.h"
#include "qpc/container.h"

namespace qpcseal::device {

namespace {

constexpr int kDifferent = 5;
constexpr std::size_t kComparePiece = std::size_t{1} << 20;  // bytes

struct LoadOptions {
  std::string dir, file, out, devices;
  bool force = false, json = false;
};

nlohmann::ordered_json json_of(const LoadedPart& part) {
  nlohmann::ordered_json out{{"device", part.card}};
  if (!part.partition.empty()) out["partition"] = part.partition;
  out["segments"] = part.segments;
  out["bytes"] = part.bytes;
  return out;
}

std::string part_text(const LoadedPart& part, const std::string& model, std::uint64_t version) {
  const std::string what = part.partition.empty() ? "" : " partition \"" + printable(part.partition) + "\"";
  return "card " + std::to_string(part.card) + " loaded \"" + printable(model) + "\" version " +
         std::to_string(version) + what + ": " + std::to_string(part.segments) + " segments, " +
         std::to_string(part.bytes) + " bytes\n";
}

// What the slowest card has to load, bytes.
std::uint64_t largest_part(const std::filesystem::path& path) {
  const Fd file = open_to_read(path);
  std::uint64_t out = 0;
  const qpc::Container container = qpc::Container::read(file);
  for (const auto& segment : container.segments())
    if (qpc::is_qpc(file, segment.data_position, segment.size)) out = std::max(out, segment.size);
  return out > 0 ? out : file_size(file);
}

// Every model of a set's folder.
int run_load_set(const LoadOptions& options, std::span<const Card> cards,
                 const std::optional<std::filesystem::path>& out) {
  const LoadedSet set =
      load_set(options.file, cards, out, options.force ? Existing::Replace : Existing::Refuse);
  nlohmann::ordered_json json{
      {"set", set.name}, {"models", nlohmann::ordered_json::array()}, {"others", set.others}};
  std::string text;
  for (const auto& [path, loaded] : set.models) {
    nlohmann::ordered_json one{{"path", path}, {"cards", nlohmann::ordered_json::array()}};
    for (const LoadedPart& part : loaded.parts) {
      one["cards"].push_back(json_of(part));
      text += printable(path) + ": " + part_text(part, loaded.model_name, loaded.model_version);
    }
    json["models"].push_back(std::move(one));
  }
  print(options.json ? json_text(json) : text);
  return 0;
}

int run_load(const LoadOptions& options) {
  std::vector<Card> cards;
  for (const unsigned number : attest::parse_devices(options.devices))
    cards.push_back(open_card(options.dir, number));
  std::optional<std::filesystem::path> out;
  if (!options.out.empty()) out = options.out;
  if (is_set(options.file)) return run_load_set(options, cards, out);
  const HostSettings host = settings_for(largest_part(options.file));
  print_error(settings_text(host));  // before a load that may take long
  const Loaded loaded = load(options.file, cards, out, options.force ? Existing::Replace : Existing::Refuse);
  nlohmann::ordered_json json{{"model", loaded.model_name},
                              {"model_version", loaded.model_version},
                              {"cards", nlohmann::ordered_json::array()},
                              {"seconds", loaded.seconds},
                              {"host",
                               {{"reckoned_seconds", host.seconds},
                                {"control_resp_timeout_s", host.control_resp_timeout_s},
                                {"mhi_timeout_ms", host.mhi_timeout_ms}}}};
  std::string text;
  for (const LoadedPart& part : loaded.parts) {
    json["cards"].push_back(json_of(part));
    text += part_text(part, loaded.model_name, loaded.model_version);
  }
  print(options.json ? json_text(json) : text);
  return 0;
}

std::string difference(const Fd& a, const qpc::Container& left, const Fd& b, const qpc::Container& right);

// Where both are containers themselves, what counts is their segments.
std::string difference(const Fd& a, const qpc::Segment& left, const Fd& b, const qpc::Segment& right) {
  if (qpc::is_qpc(a, left.data_position, left.size) && qpc::is_qpc(b, right.data_position, right.size)) {
    const std::string found = difference(a, qpc::Container::read(a, left.data_position, left.size), b,
                                         qpc::Container::read(b, right.data_position, right.size));
    return found.empty() || left.name != right.name ? found : "in '" + left.name + "': " + found;
  }
  if (left.name != right.name) return "'" + left.name + "' and '" + right.name + "' stand in the same place";
  if (left.size != right.size || left.offset != right.offset)
    return "'" + left.name + "' differs in size or offset";
  for (std::uint64_t at = 0; at < left.size; at += kComparePiece) {
    Bytes one(std::min<std::uint64_t>(kComparePiece, left.size - at)), other(one.size());
    read_exact(a, one, left.data_position + at);
    read_exact(b, other, right.data_position + at);
    if (one != other) return "'" + left.name + "' differs";
  }
  return {};
}

std::string difference(const Fd& a, const qpc::Container& left, const Fd& b, const qpc::Container& right) {
  std::string found;
  if (left.segments().size() != right.segments().size()) found = "they have another number of segments";
  for (std::size_t i = 0; found.empty() && i < left.segments().size(); ++i)
    found = difference(a, left.segments()[i], b, right.segments()[i]);
  return found;
}

int run_compare(const std::string& first, const std::string& second) {
  const Fd a = open_to_read(first), b = open_to_read(second);
  const std::string found = difference(a, qpc::Container::read(a), b, qpc::Container::read(b));
  print((found.empty() ? "the same segments, names, sizes, offsets and bytes" : found) + "\n");
  return found.empty() ? 0 : kDifferent;
}

}  // namespace

void add_load(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("load", "Load a sealed model as the cards would");
  auto options = std::make_shared<LoadOptions>();
  command->add_option("--dir", options->dir, "The cards' folder")->required();
  command
      ->add_option("--device,-d", options->devices,
                   "Which card; for a model in partitions one for each, in their order: 0,1,2,3 or 0-3")
      ->required();
  command->add_option("FILE", options->file, "The sealed container, or the folder of a set")->required();
  command->add_option("--out", options->out,
                      "Write the plain QPC that the card sees; of a set a folder of them");
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
