// SPDX-License-Identifier: Apache-2.0
// A backup's archive against its manifest: what is there is what is listed, in its order.
#include "appliance/site/home_archive.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "encoding/json.h"
#include "encoding/tar.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::site {
namespace {

namespace fs = std::filesystem;
using encoding::Json;
using qpcseal::testing::read_text;
using qpcseal::testing::TempFolder;
using qpcseal::testing::write_text;
using Members = std::vector<std::pair<std::string, std::string>>;

HomeFile listed(const std::string& name, const std::string& content) {
  return {name, content.size(), sha256_hex(content)};
}

class ArchiveFile : public ::testing::Test {
 protected:
  TempFolder folder;
  fs::path file = folder / "backup";
  Members members = {{"log/checkpoint", "a checkpoint"}, {"policy.toml", "a policy"}, {"trust/root.pem", ""}};
  HomeManifest manifest{"qpcseal test", 1800000000, 7, std::string(64, 'a'), {}};

  ArchiveFile() {
    for (const auto& [name, content] : members) manifest.files.push_back(listed(name, content));
  }
  void write(const std::string& first, const Members& rest) const {
    const Fd out(open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    encoding::TarWriter archive(out);
    archive.add("manifest.json", view(first));
    for (const auto& [name, content] : rest) archive.add(name, view(content));
    archive.finish();
  }
  HomeArchive open_with(const std::string& text) const {
    write(text, members);
    return HomeArchive(file);
  }
  HomeArchive open_good() const { return open_with(encode_manifest(manifest)); }
  // The manifest with one member of it changed.
  HomeArchive open_changed(const char* key, const Json& value) const {
    Json json = Json::parse(encode_manifest(manifest));
    json[key] = value;
    return open_with(encoding::canonical(json));
  }
};

TEST_F(ArchiveFile, GivesWhatWasPutIn) {
  const HomeArchive archive = open_good();
  EXPECT_EQ(archive.manifest().software, "qpcseal test");
  EXPECT_EQ(archive.manifest().time, 1800000000);
  EXPECT_EQ(archive.manifest().log_size, 7U);
  EXPECT_EQ(archive.manifest().log_root, std::string(64, 'a'));
  ASSERT_EQ(archive.manifest().files.size(), 3U);
  EXPECT_EQ(archive.text("policy.toml"), "a policy");
  EXPECT_EQ(archive.text("trust/root.pem"), "");
  EXPECT_EQ(text_view(archive.read(archive.manifest().files[0])), "a checkpoint");
  EXPECT_ERROR(Malformed, "it lacks officers", archive.text("officers"));
  EXPECT_ERROR(Malformed, "it lacks officers", archive.place("officers"));
}

TEST_F(ArchiveFile, SaysWhereAMemberLies) {
  const HomeArchive archive = open_good();
  const HomeArchive::Place place = archive.place("policy.toml");
  EXPECT_EQ(read_text(file).substr(place.offset, place.size), "a policy");
  Bytes bytes(place.size);
  read_exact(archive.reopen(), bytes, place.offset);
  EXPECT_EQ(text_view(bytes), "a policy");
}

TEST_F(ArchiveFile, ReopensTheFileThatWasChecked) {
  const HomeArchive archive = open_good();
  fs::rename(file, folder / "moved");
  write_text(file, "another");
  EXPECT_EQ(file_size(archive.reopen()), fs::file_size(folder / "moved"));
}

TEST_F(ArchiveFile, HasAManifestOfItsOwnFormat) {
  EXPECT_NO_THROW(open_changed("v", 2));
  EXPECT_ERROR(Malformed, "a backup of a home in format 1; this version reads format 2",
               open_changed("v", 1));
  EXPECT_ERROR(Malformed, "in format 3", open_changed("v", 3));
  EXPECT_ERROR(Malformed, "not a backup of a home", open_changed("type", "qpcseal-trust"));
  EXPECT_ERROR(Malformed, "unknown member", open_changed("more", 1));
  EXPECT_ERROR(Malformed, "unknown member", open_changed("log", {{"size", 1}, {"root", ""}, {"more", 1}}));
  EXPECT_ERROR(Malformed, "no member 'root'", open_changed("log", {{"size", 1}}));
  EXPECT_ERROR(Malformed, "canonical form", open_with(" " + encode_manifest(manifest)));
  EXPECT_ERROR(Malformed, "manifest.json", open_with("{"));
}

TEST_F(ArchiveFile, ListsOnlyFilesThatAHomeHas) {
  for (const char* name : {"site.toml", "pin", "tokens/token.object", "../policy.toml", "log/snapshot",
                           "/etc/passwd", "reports/r"}) {
    manifest.files[1].name = name;
    EXPECT_ERROR(Malformed, std::string("a file that no backup has: ") + name, open_good());
  }
  manifest.files[1] = manifest.files[0];
  EXPECT_ERROR(Malformed, "'log/checkpoint' stands twice", open_good());
}

TEST_F(ArchiveFile, RefusesAFileThatIsNotAsListed) {
  const std::string text = encode_manifest(manifest);
  Members other = members;
  other[1].second = "b policy";
  write(text, other);
  EXPECT_ERROR(Malformed, "'policy.toml' is not the file that the manifest names", HomeArchive(file));
  other[1].second = "a policy!";
  write(text, other);
  EXPECT_ERROR(Malformed, "'policy.toml' is not where the manifest says", HomeArchive(file));
  other = members;
  std::swap(other[0], other[1]);
  write(text, other);
  EXPECT_ERROR(Malformed, "'log/checkpoint' is not where the manifest says", HomeArchive(file));
  other = members;
  other.pop_back();
  write(text, other);
  EXPECT_ERROR(Malformed, "'trust/root.pem' is not where the manifest says", HomeArchive(file));
  other = members;
  other.emplace_back("officers", "");
  write(text, other);
  EXPECT_ERROR(Malformed, "a file that the manifest does not name", HomeArchive(file));
}

TEST_F(ArchiveFile, RefusesWhatIsNoBackup) {
  EXPECT_ERROR(Io, "backup", HomeArchive(file));
  write_text(file, "");
  EXPECT_ERROR(Malformed, "archive", HomeArchive(file));
  const Fd out(open(file.c_str(), O_RDWR | O_TRUNC | O_CLOEXEC));
  encoding::TarWriter archive(out);
  archive.add("policy.toml", view("a policy"));
  archive.finish();
  EXPECT_ERROR(Malformed, "not a backup of a home", HomeArchive(file));
}

TEST_F(ArchiveFile, NoticesWhatChangedAfterItWasRead) {
  const HomeArchive archive = open_good();
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary)
      .seekp(static_cast<std::streamoff>(archive.place("policy.toml").offset))
      .put('b');
  EXPECT_ERROR(Malformed, "'policy.toml' is not the file", archive.text("policy.toml"));
  fs::create_directory(folder / "out");
  EXPECT_ERROR(Malformed, "'policy.toml' is not the file", archive.unpack(folder / "out"));
  EXPECT_FALSE(fs::exists(folder / "out/policy.toml"));
}

TEST_F(ArchiveFile, UnpacksForItsOwnerAlone) {
  const fs::path dir = folder / "out";
  fs::create_directory(dir);
  open_good().unpack(dir);
  for (const auto& [name, content] : members) {
    EXPECT_EQ(read_text(dir / name), content);
    EXPECT_EQ(fs::status(dir / name).permissions(), fs::perms::owner_read | fs::perms::owner_write) << name;
  }
  EXPECT_EQ(fs::status(dir / "log").permissions(), fs::perms::owner_all);
  EXPECT_ERROR(Io, "checkpoint", open_good().unpack(dir)) << "nothing is overwritten";
}

}  // namespace
}  // namespace qpcseal::site
