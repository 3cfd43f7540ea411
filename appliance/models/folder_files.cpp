// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/folder_files.h"

#include <algorithm>

#include "appliance/seal/set_manifest.h"
#include "base/error.h"
#include "base/file.h"
#include "encoding/file_kind.h"
#include "qpc/container.h"

namespace qpcseal::models {

namespace {

namespace fs = std::filesystem;

bool starts_with_dot(const fs::path& path) { return path.filename().string().starts_with("."); }

FolderFile describe(std::string path, fs::path file) {
  const Fd fd = open_to_read(file);
  const bool is_qpc = qpc::is_qpc(fd, 0, file_size(fd));
  return {std::move(path), std::move(file), is_qpc};
}

void add_below(const fs::path& dir, const std::string& prefix, std::vector<FolderFile>& out) {
  std::error_code failed;
  for (const auto& item : fs::directory_iterator(dir, failed)) {
    if (starts_with_dot(item.path())) continue;
    const std::string path = prefix + item.path().filename().string();
    const fs::file_status status = item.symlink_status();
    if (fs::is_directory(status)) {
      add_below(item.path(), path + "/", out);
    } else if (fs::is_regular_file(status)) {
      out.push_back(describe(path, item.path()));
    } else {
      throw Error(ErrorKind::Io, item.path().string() + " is neither a file nor a folder",
                  "give a folder that holds the files themselves ('cp -rL' follows links)");
    }
    if (out.size() > seal::kMaxSetFiles)
      throw Error(ErrorKind::Io, dir.string() + ": more than 10000 files in one folder and below it");
  }
  if (failed) throw Error(ErrorKind::Io, dir.string() + ": " + failed.message());
}

bool is_folder(const fs::path& path) { return fs::is_directory(fs::symlink_status(path)); }

void check_paths(const std::vector<FolderFile>& files) {
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!seal::is_set_path(files[i].path))
      throw Error(ErrorKind::Usage, "a set has no file '" + files[i].path + "'",
                  "its name is seal.set, is no UTF-8, is too long, or has a control character");
    if (i > 0 && files[i].path == files[i - 1].path)
      throw Error(ErrorKind::Usage, "two of the files given would both be '" + files[i].path + "'",
                  "give the folder that holds both");
  }
  if (std::ranges::none_of(files, &FolderFile::is_qpc))
    throw Error(ErrorKind::Usage, "nothing that was given is a QPC, or holds one");
}

}  // namespace

std::string own_name(const fs::path& path) {
  const fs::path normal = fs::absolute(path).lexically_normal();
  return (normal.has_filename() ? normal : normal.parent_path()).filename().string();
}

std::vector<FolderFile> files_below(const fs::path& dir) {
  std::vector<FolderFile> out;
  add_below(dir, "", out);
  std::ranges::sort(out, {}, &FolderFile::path);
  return out;
}

std::vector<FolderFile> files_of_set(const std::vector<fs::path>& inputs) {
  std::vector<FolderFile> out;
  for (const fs::path& input : inputs) {
    const std::string prefix = inputs.size() == 1 ? "" : own_name(input) + "/";
    if (is_folder(input)) {
      add_below(input, prefix, out);
    } else {
      out.push_back(describe(own_name(input), input));
    }
  }
  std::ranges::sort(out, {}, &FolderFile::path);
  check_paths(out);
  return out;
}

std::vector<std::string> folders_above(const std::string& path) {
  std::vector<std::string> out;
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
    out.push_back(path.substr(0, slash));
  return out;
}

void refuse_other_file(const Fd& file) {
  if (!qpc::is_qpc(file, 0, file_size(file)))
    encoding::refuse_other_kind(encoding::front_of(file), "a model (QPC)");
}

}  // namespace qpcseal::models
