// SPDX-License-Identifier: Apache-2.0
// A backup of a home as a file: a ustar archive whose first member, manifest.json, lists the others with
// their sizes and digests. docs/FORMAT.md section 6.8.
//
//   {"files":[{"name":"log/checkpoint","sha256":"<hex>","size":123},...],"log":{"root":"<hex>","size":7},
//    "software":"qpcseal 0.2.0","time":1800000000,"type":"qpcseal-home","v":2}
//
// The manifest proves nothing: it lets a reader find damage before anything is unpacked.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "appliance/site/vouched.h"
#include "base/clock.h"
#include "base/file.h"

namespace qpcseal::site {

struct HomeManifest {
  std::string software;
  UnixTime time = 0;
  std::uint64_t log_size = 0;  // entries
  std::string log_root;        // hex
  std::vector<HomeFile> files;
};

std::string encode_manifest(const HomeManifest& manifest);

class HomeArchive {
 public:
  // Reads the whole file once: each member is as the manifest says, none is missing, none is too many, and
  // each has a name that a backup's file may have. Error{Malformed}, Error{Io}.
  explicit HomeArchive(const std::filesystem::path& path);

  [[nodiscard]] const HomeManifest& manifest() const { return manifest_; }
  // A member's bytes. Error{Malformed} where they are not those that were read first: a medium may change.
  [[nodiscard]] Bytes read(const HomeFile& file) const;
  [[nodiscard]] std::string text(const std::string& name) const;
  // Where a member lies, for whoever reads it in pieces and checks it by other means. Error{Malformed}.
  struct Place {
    std::uint64_t offset = 0, size = 0;  // bytes
  };
  [[nodiscard]] Place place(const std::string& name) const;
  [[nodiscard]] Fd reopen() const;  // the same open file
  // Writes each member below `dir`, in folders of mode 0700 and with mode 0600, everything on disk.
  void unpack(const std::filesystem::path& dir) const;

 private:
  [[nodiscard]] std::uint64_t offset_of(const HomeFile& file) const { return offsets_.at(file.name); }
  Fd in_;
  HomeManifest manifest_;
  std::map<std::string, std::uint64_t> offsets_;  // bytes
};

}  // namespace qpcseal::site
