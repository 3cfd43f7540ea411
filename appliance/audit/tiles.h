// SPDX-License-Identifier: Apache-2.0
// The log as static files in the layout of C2SP tlog-tiles: checkpoint, tile/<level>/<N>[.p/<width>] and
// tile/entries/<N>[.p/<width>], 256 hashes or entries a tile.
#pragma once

#include <filesystem>

#include "appliance/audit/read.h"

namespace qpcseal::audit {

// Into a folder that does not exist yet, or is empty. Error{Io}.
void export_tiles(const LogCopy& log, const std::filesystem::path& dir);
// "x001/x234/067" for 1234067
std::string tile_number(std::uint64_t number);

}  // namespace qpcseal::audit
