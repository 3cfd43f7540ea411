// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/running_image.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string_view>

namespace qpcseal::site {

namespace {

constexpr std::size_t kMaxKernelText = 65536;  // bytes; a command line has some thousand
constexpr std::string_view kClaim = "roothash=";
constexpr std::string_view kVerity = "CRYPT-VERITY-";
constexpr std::string_view kBlanks(" \t\n\v\f\r"), kQuote("\"");

// The kernel's files have no size before they are read.
std::optional<std::string> kernel_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string out(kMaxKernelText, '\0');
  if (!file || !file.read(out.data(), static_cast<std::streamsize>(out.size())).eof()) return std::nullopt;
  out.resize(static_cast<std::size_t>(file.gcount()));
  return out;
}

std::string device_number(const std::filesystem::path& root) {
  struct stat status{};
  if (stat(root.c_str(), &status) != 0) return "";
  return std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev));
}

std::filesystem::path uuid_path(const KernelFiles& files, const std::string& device) {
  return files.block_devices / device / "dm" / "uuid";
}

// The kernel takes blanks in quotes for a part of the word around them.
bool stands_alone(std::string_view line, std::size_t at) {
  return (at == 0 || kBlanks.find(line[at - 1]) != std::string_view::npos) &&
         std::ranges::count(line.substr(0, at), kQuote.front()) % 2 == 0;
}

RunningImage refused(const std::string& why) { return {"", why}; }

// The claim as it stands, or why it does not count.
RunningImage read_claim(std::string_view line) {
  const std::size_t at = line.find(kClaim);
  if (at == std::string_view::npos) return {};
  if (line.find(kClaim, at + 1) != std::string_view::npos)
    return refused("the kernel's command line has roothash= more than once");
  std::string_view value = line.substr(at + kClaim.size());
  value = value.substr(0, value.find_first_of(kBlanks));
  if (!stands_alone(line, at) || !encoding::is_hex(value, audit::kImageSize))
    return refused("roothash= in the kernel's command line is no word with 64 hex digits in lower case");
  for (const std::string_view word : {"ignore-corruption", "ignore_corruption"})
    if (line.find(word) != std::string_view::npos)
      return refused("the kernel's command line tells dm-verity to ignore corruption");
  return {std::string(value), ""};
}

}  // namespace

RunningImage find_image(const KernelFiles& files) {
  const auto line = kernel_text(files.command_line);
  if (!line) return refused(files.command_line.string() + " cannot be read");
  RunningImage out = read_claim(*line);
  if (out.root_hash.empty()) return out;
  const std::string device = device_number(files.root);
  const auto uuid = kernel_text(uuid_path(files, device));
  if (uuid && uuid->starts_with(kVerity)) return out;
  return refused("the kernel's command line has roothash=, and the root file system (device " + device +
                 ") is not on dm-verity");
}

std::filesystem::path verity_file(const KernelFiles& files) {
  std::error_code failed;
  auto out = std::filesystem::canonical(uuid_path(files, device_number(files.root)), failed);
  return failed ? std::filesystem::path() : out;
}

Error other_image(const ImageDemand& demand, const RunningImage& running, const std::string& hint) {
  const auto shown = [](const std::string& hash) { return hash.empty() ? std::string("none") : hash; };
  return Error(ErrorKind::Denied,
               demand.by + " " + demand.verb + " " + image_text({demand.root_hash, ""}) + ", and " +
                   image_text(running) + " runs here",
               hint, {{demand.id, "image", shown(running.root_hash), shown(demand.root_hash), demand.by}})
      .with_code("other-image");
}

void expect_image(const audit::SiteFacts& facts, const RunningImage& running) {
  if (facts.image.empty() || facts.image == running.root_hash) return;
  throw other_image({"IMG-SITE", "the site's facts", "name", facts.image}, running,
                    std::string("boot that image; or officers agree to ") +
                        (running.root_hash.empty() ? "work without one: 'qpcseal site change --image none'"
                                                   : "this one: 'qpcseal site change --image running'"));
}

std::string image_text(const RunningImage& running) {
  if (!running.root_hash.empty()) return "image " + running.root_hash;
  return running.why_not.empty() ? "no image" : "no image (" + running.why_not + ")";
}

}  // namespace qpcseal::site
