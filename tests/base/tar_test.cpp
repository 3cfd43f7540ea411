// SPDX-License-Identifier: Apache-2.0
#include "encoding/tar.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal {
namespace {

using testing::TempFolder;

Fd create(const std::filesystem::path& path) {
  return Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

const std::string kLongName = std::string(120, 'd') + "/" + std::string(100, 'n');

// An archive of three files: empty, of one block, and of a block and a byte under a long name.
void write_sample(const std::filesystem::path& path) {
  const Fd out = create(path);
  encoding::TarWriter writer(out);
  writer.add("empty", ByteView());
  writer.add("folder/one", Bytes(512, 'x'));
  writer.add(kLongName, Bytes(513, 'y'));
  writer.finish();
}

std::vector<encoding::TarItem> items_of(const std::filesystem::path& path) {
  const Fd in = open_to_read(path);
  encoding::TarReader reader(in);
  std::vector<encoding::TarItem> out;
  while (auto item = reader.next()) out.push_back(*item);
  return out;
}

TEST(Tar, RoundTrip) {
  const TempFolder temp;
  write_sample(temp / "a.tar");
  const auto items = items_of(temp / "a.tar");
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[0].name, "empty");
  EXPECT_EQ(items[0].size, 0U);
  EXPECT_EQ(items[1].name, "folder/one");
  EXPECT_EQ(items[2].name, kLongName);
  EXPECT_EQ(items[2].size, 513U);
  const Bytes all = read_file(temp / "a.tar", 1 << 20);
  EXPECT_EQ(all.size() % 512, 0U);
  EXPECT_EQ(all[items[2].offset + 512], 'y');
}

TEST(Tar, AnyOtherTarReadsIt) {
  const TempFolder temp;
  write_sample(temp / "a.tar");
  const std::string command = "cd '" + temp.path().string() +
                              "' && tar xf a.tar && test -e empty && test $(cat folder/one "
                              "| wc -c) = 512 && test -e " +
                              kLongName;
  EXPECT_EQ(std::system(command.c_str()), 0);  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
}

TEST(Tar, EveryChangedByteIsFoundButThoseOfContents) {
  const TempFolder temp;
  write_sample(temp / "a.tar");
  const auto items = items_of(temp / "a.tar");
  const Bytes good = read_file(temp / "a.tar", 1 << 20);
  for (std::size_t i = 0; i < good.size(); ++i) {
    const bool content = std::ranges::any_of(items, [&](const encoding::TarItem& item) {
      return i >= item.offset && i < item.offset + item.size;
    });
    if (content) continue;
    Bytes bad = good;
    bad[i] ^= 1;
    write_file(temp / "bad.tar", bad, Existing::Replace);
    EXPECT_ERROR(Malformed, "archive", items_of(temp / "bad.tar")) << "byte " << i;
  }
  for (std::size_t size = 0; size < good.size(); size += 101) {
    write_file(temp / "bad.tar", ByteView(good).first(size), Existing::Replace);
    EXPECT_ERROR(Malformed, "archive", items_of(temp / "bad.tar")) << size << " bytes";
  }
}

TEST(Tar, NamesStayBelow) {
  for (const char* name : {"a", "a/b", "a/b.c", "..a", "a..", ".a", "a b"})
    EXPECT_TRUE(encoding::is_inner_name(name)) << name;
  for (const char* name :
       {"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\n", "\xC3\xA9"})
    EXPECT_FALSE(encoding::is_inner_name(name)) << name;
  const TempFolder temp;
  const Fd out = create(temp / "a.tar");
  encoding::TarWriter writer(out);
  EXPECT_ERROR(Usage, "does not fit", writer.add("../a", ByteView()));
  EXPECT_ERROR(Usage, "does not fit", writer.add(std::string(101, 'n'), ByteView()));
  EXPECT_ERROR(Usage, "does not fit", writer.add(std::string(200, 'd') + "/n", ByteView()));
}

}  // namespace
}  // namespace qpcseal
