// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/tiles.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/error.h"
#include "base/file.h"

namespace qpcseal::audit {

namespace {

constexpr std::uint64_t kWidth = 256;  // hashes or entries in a full tile
constexpr unsigned kHeight = 8;        // levels of the tree in a tile

void write_tile(const std::filesystem::path& base, std::uint64_t number, std::uint64_t width,
                ByteView bytes) {
  std::string name = tile_number(number);
  if (width < kWidth) name += ".p/" + std::to_string(width);
  const std::filesystem::path path = base / name;
  std::filesystem::create_directories(path.parent_path());
  write_file(path, bytes, Existing::Refuse);
}

void export_level(const LogCopy& log, const std::filesystem::path& dir, unsigned level) {
  const std::uint64_t count = log.checkpoint.size >> (kHeight * level);
  for (std::uint64_t first = 0; first < count; first += kWidth) {
    const std::uint64_t width = std::min(kWidth, count - first);
    Bytes tile;
    for (std::uint64_t i = first; i < first + width; ++i) append(tile, log.tree.node(kHeight * level, i));
    write_tile(dir / std::to_string(level), first / kWidth, width, tile);
  }
}

void export_entries(const LogCopy& log, const std::filesystem::path& dir) {
  for (std::uint64_t first = 0; first < log.checkpoint.size; first += kWidth) {
    const std::uint64_t width = std::min(kWidth, log.checkpoint.size - first);
    Bytes bundle;
    log.each(first, first + width, [&](std::uint64_t, std::string_view line) {
      append_lp16(bundle, view(line));
      return true;
    });
    write_tile(dir, first / kWidth, width, bundle);
  }
}

}  // namespace

std::string tile_number(std::uint64_t number) {
  constexpr std::uint64_t kGroup = 1000;
  std::array<char, 8> digits{};
  std::string out;
  for (bool last = true; last || number > 0; last = false, number /= kGroup) {
    if (std::snprintf(digits.data(), digits.size(), "%03u", static_cast<unsigned>(number % kGroup)) != 3)
      throw Error(ErrorKind::Internal, "a tile's number");
    out.insert(0, last ? digits.data() : "x" + std::string(digits.data()) + "/");
  }
  return out;
}

void export_tiles(const LogCopy& log, const std::filesystem::path& dir) {
  make_output_folder(dir);
  if (!std::filesystem::is_empty(dir)) throw Error(ErrorKind::Io, dir.string() + " is not empty");
  for (unsigned level = 0; (log.checkpoint.size >> (kHeight * level)) > 0; ++level)
    export_level(log, dir / "tile", level);
  export_entries(log, dir / "tile" / "entries");
  write_file(dir / "checkpoint", view(log.note), Existing::Refuse);  // last: the rest is there before it
}

}  // namespace qpcseal::audit
