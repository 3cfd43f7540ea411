// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/home_archive.h"

#include <fcntl.h>

#include <set>

#include "base/digest.h"
#include "base/error.h"
#include "encoding/file_kind.h"
#include "encoding/json.h"
#include "encoding/tar.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

constexpr const char *kManifest = "manifest.json", *kType = "qpcseal-home";
constexpr std::uint64_t kVersion = 2;
constexpr std::size_t kMaxManifest = std::size_t{64} << 20;  // bytes

Error malformed(const std::string& why) { return {ErrorKind::Malformed, why}; }

std::string not_as_listed(const std::string& name) {
  return "'" + name + "' is not the file that the manifest names";
}

HomeManifest parse_manifest(const Bytes& bytes) {
  const Json json = encoding::parse_canonical(text_view(bytes), kManifest);
  encoding::expect_keys(json, {"type", "v", "software", "time", "log", "files"}, kManifest);
  if (encoding::text_member(json, "type") != kType) throw malformed("not a backup of a home");
  if (encoding::uint_member(json, "v") != kVersion)
    throw Error(ErrorKind::Malformed,
                "a backup of a home in format " + std::to_string(encoding::uint_member(json, "v")) +
                    "; this version reads format " + std::to_string(kVersion),
                "versions before 0.2.0 wrote format 1, in which nothing vouches for the files");
  const Json& log = encoding::member(json, "log");
  encoding::expect_keys(log, {"size", "root"}, kManifest);
  HomeManifest out{encoding::text_member(json, "software"),
                   static_cast<UnixTime>(encoding::uint_member(json, "time")),
                   encoding::uint_member(log, "size"),
                   encoding::text_member(log, "root"),
                   {}};
  std::set<std::string> names;
  for (const Json& file : encoding::member(json, "files")) {
    encoding::expect_keys(file, {"name", "size", "sha256"}, kManifest);
    out.files.push_back({encoding::text_member(file, "name"), encoding::uint_member(file, "size"),
                         encoding::hex_member(file, "sha256", sizeof(Sha256Digest))});
    const std::string& name = out.files.back().name;
    if (!file_kind(name)) throw malformed("a file that no backup has: " + name);
    if (!names.insert(name).second) throw malformed("'" + name + "' stands twice");
  }
  return out;
}

}  // namespace

std::string encode_manifest(const HomeManifest& manifest) {
  Json list = Json::array();
  for (const HomeFile& file : manifest.files)
    list.push_back({{"name", file.name}, {"size", file.size}, {"sha256", file.sha256}});
  return encoding::canonical({{"type", kType},
                              {"v", kVersion},
                              {"software", manifest.software},
                              {"time", static_cast<std::uint64_t>(manifest.time)},
                              {"log", {{"size", manifest.log_size}, {"root", manifest.log_root}}},
                              {"files", std::move(list)}});
}

HomeArchive::HomeArchive(const std::filesystem::path& path) : in_(open_to_read(path)) {
  encoding::refuse_other_kind(encoding::front_of(in_), "a tar archive",
                              "a backup of a home is what 'qpcseal home backup' wrote");
  encoding::TarReader reader(in_);
  const auto first = reader.next();
  if (!first || first->name != kManifest || first->size > kMaxManifest)
    throw malformed("not a backup of a home");
  Bytes text(first->size);
  read_exact(in_, text, first->offset);
  manifest_ = parse_manifest(text);
  for (const HomeFile& file : manifest_.files) {
    const auto item = reader.next();
    if (!item || item->name != file.name || item->size != file.size)
      throw malformed("'" + file.name + "' is not where the manifest says");
    Sha256 digest;
    encoding::read_pieces(in_, item->offset, item->size, [&](ByteView piece) { digest.update(piece); });
    if (to_hex(digest.finish()) != file.sha256) throw malformed(not_as_listed(file.name));
    offsets_.emplace(file.name, item->offset);
  }
  if (reader.next()) throw malformed("a file that the manifest does not name");
}

Bytes HomeArchive::read(const HomeFile& file) const {
  Bytes out(file.size);
  read_exact(in_, out, offset_of(file));
  if (sha256_hex(out) != file.sha256) throw malformed(not_as_listed(file.name));
  return out;
}

HomeArchive::Place HomeArchive::place(const std::string& name) const {
  for (const HomeFile& file : manifest_.files)
    if (file.name == name) return {offset_of(file), file.size};
  throw malformed("it lacks " + name);
}

Fd HomeArchive::reopen() const {
  Fd out(::fcntl(in_.get(), F_DUPFD_CLOEXEC, 0));
  if (!out) throw_errno("a second descriptor of the backup");
  return out;
}

std::string HomeArchive::text(const std::string& name) const {
  for (const HomeFile& file : manifest_.files)
    if (file.name == name) return std::string(text_view(read(file)));
  throw malformed("it lacks " + name);
}

void HomeArchive::unpack(const std::filesystem::path& dir) const {
  for (const HomeFile& file : manifest_.files) {
    const std::filesystem::path target = dir / file.name;
    if (target.parent_path() != dir) make_folder(target.parent_path());
    AtomicFile out(target, Existing::Refuse, 0600);
    Sha256 digest;
    std::uint64_t at = 0;
    encoding::read_pieces(in_, offset_of(file), file.size, [&](ByteView piece) {
      digest.update(piece);
      write_exact(out.fd(), piece, at);
      at += piece.size();
    });
    if (to_hex(digest.finish()) != file.sha256) throw malformed(not_as_listed(file.name));
    out.commit();
  }
}

}  // namespace qpcseal::site
