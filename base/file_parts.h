// The steps of which files that appear whole are made; for file.cpp and file_batch.cpp alone.
#pragma once

#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace qpcseal {

std::filesystem::path parent_of(const std::filesystem::path& path);
Error exists_error(const std::filesystem::path& path);
// A new file under a temporary name. Error{Io} names the final one.
Fd create_beside(const std::filesystem::path& temporary, const std::filesystem::path& name, unsigned mode);
// Renames; with Existing::Refuse an existing `to` is Error{Io}, atomically. Syncs nothing.
void publish(const std::filesystem::path& from, const std::filesystem::path& to, Existing existing);

}  // namespace qpcseal
