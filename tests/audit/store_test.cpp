// SPDX-License-Identifier: Apache-2.0
// The log's files: what opens, what is refused, and what is on disk after each change.
#include "appliance/audit/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "appliance/audit/entry.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/syscall_spy.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::FileCall;
using ::testing::IsEmpty;
using testing::read_text;
using testing::write_text;

using Taken = std::vector<std::string>;

class Stored : public ::testing::Test {
 protected:
  void expect_private(const fs::path& path, unsigned mode) {
    struct stat status{};
    ASSERT_EQ(stat(path.c_str(), &status), 0) << path;
    EXPECT_EQ(status.st_mode & 07777U, mode) << path;
  }
  // The lines that come of a file with this text, until there are `most` of them; where they end.
  std::uint64_t lines_of(const std::string& text, Taken& taken, std::size_t most = SIZE_MAX) {
    write_text(store.entries_path(), text);
    return store.each_line([&](std::string_view line) {
      taken.emplace_back(line);
      return taken.size() < most;
    });
  }

  testing::TempFolder temp;
  const fs::path dir = temp / "log";
  Store store = Store::create(dir);
};

TEST_F(Stored, IsPrivateAndMadeOnce) {
  expect_private(dir, 0700);
  expect_private(store.entries_path(), 0600);
  EXPECT_ERROR(Io, "entries.jsonl: File exists", Store::create(dir));
  store.publish("note");
  store.write_snapshot(view("snapshot"));
  expect_private(store.checkpoint_path(), 0600);
  expect_private(store.snapshot_path(), 0600);
}

TEST_F(Stored, OpensAFileAlone) {
  EXPECT_ERROR(Io, "entries.jsonl: No such file", Store::open(temp / "missing"));
  fs::rename(store.entries_path(), dir / "elsewhere");
  fs::create_symlink("elsewhere", store.entries_path());
  EXPECT_ERROR(Io, "entries.jsonl: Too many levels of symbolic links", Store::open(dir));
  EXPECT_ERROR(Io, "symbolic link", Store::open_to_read(dir).open_entries());
}

TEST_F(Stored, OpeningToAppendRemovesWhatAKillLeft) {
  const fs::path left = dir / ".checkpoint.tmp-qpcseal-0123456789ab";
  write_text(left, "half");
  static_cast<void>(Store::open_to_read(dir));
  EXPECT_TRUE(fs::exists(left)) << "a reader changes nothing";
  static_cast<void>(Store::open(dir));
  EXPECT_FALSE(fs::exists(left));
}

TEST_F(Stored, HasACheckpointOfItsSize) {
  EXPECT_ERROR(Io, "no audit log at ", Store::open_to_read(temp / "missing").read_checkpoint());
  EXPECT_ERROR(LogDamaged, "checkpoint is missing: the log has no signed checkpoint",
               store.read_checkpoint());
  write_text(store.checkpoint_path(), std::string(tlog::kMaxCheckpointSize, 'x'));
  EXPECT_EQ(store.read_checkpoint().size(), tlog::kMaxCheckpointSize);
  write_text(store.checkpoint_path(), std::string(tlog::kMaxCheckpointSize + 1, 'x'));
  EXPECT_ERROR(Malformed, "checkpoint", store.read_checkpoint());
}

TEST_F(Stored, EntriesAreReadFromAByteOn) {
  write_text(store.entries_path(), "0123\n");
  EXPECT_EQ(store.read_entries(), "0123\n");
  EXPECT_EQ(store.read_entries(3), "3\n");
  EXPECT_EQ(store.read_entries(5), "");
  EXPECT_EQ(store.read_entries(6), "") << "behind the end is nothing";
}

TEST_F(Stored, LinesEndWithALineFeedOrAreNone) {
  const std::vector<std::pair<std::string, Taken>> cases{
      {"", {}}, {"a", {}}, {"a\n", {"a"}}, {"\n", {""}}, {"a\n\nb\nc", {"a", "", "b"}}};
  for (const auto& [text, lines] : cases) {
    Taken taken;
    EXPECT_EQ(lines_of(text, taken), text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1)
        << text;
    EXPECT_EQ(taken, lines) << text;
    const auto split = split_lines(text);
    EXPECT_EQ(Taken(split.begin(), split.end()), lines) << text;
  }
}

TEST_F(Stored, LinesStopWhereTheyAreNotTaken) {
  Taken taken;
  EXPECT_EQ(lines_of("ab\nc\nd\n", taken, 2), 5U);
  EXPECT_THAT(taken, ElementsAre("ab", "c"));
}

TEST_F(Stored, LinesOfAPartOfAFileEndInIt) {
  write_text(store.entries_path(), "ab\ncd\nef\n");
  const Fd file = store.open_entries();
  Taken taken;
  const auto part = [&](std::uint64_t from, std::uint64_t end) {
    taken.clear();
    return each_line(file, from, end, [&](std::string_view line) {
      taken.emplace_back(line);
      return true;
    });
  };
  EXPECT_EQ(part(3, 9), 9U);
  EXPECT_THAT(taken, ElementsAre("cd", "ef"));
  EXPECT_EQ(part(3, 8), 6U);
  EXPECT_THAT(taken, ElementsAre("cd"));
  EXPECT_EQ(part(6, 6), 6U);
  EXPECT_THAT(taken, IsEmpty());
  EXPECT_ERROR(Io, "ends early", part(3, 10));
}

TEST_F(Stored, ALineIsAsLongAsAnEntryCanBe) {
  Taken taken;
  const std::string longest(kMaxEntrySize, 'x');
  EXPECT_EQ(lines_of(longest, taken), 0U) << "it may be cut short";
  EXPECT_EQ(lines_of(longest + "\n", taken), longest.size() + 1);
  EXPECT_THAT(taken, ElementsAre(longest));
  EXPECT_ERROR(Malformed, "a line too long for an entry", lines_of(longest + "x", taken));
}

TEST_F(Stored, ASnapshotIsThereOrNotAndOfItsSize) {
  EXPECT_FALSE(store.read_snapshot());
  store.write_snapshot({});
  ASSERT_TRUE(store.read_snapshot());
  EXPECT_TRUE(store.read_snapshot()->bytes.empty());
  store.write_snapshot(view("snapshot"));
  EXPECT_EQ(text_view(store.read_snapshot()->bytes), "snapshot");
  fs::resize_file(store.snapshot_path(), (std::uintmax_t{1} << 32) + 1);  // a hole
  EXPECT_ERROR(Malformed, "snapshot: a snapshot of more than 4 GiB", store.read_snapshot());
  fs::remove(store.snapshot_path());
  fs::create_symlink("entries.jsonl", store.snapshot_path());
  EXPECT_ERROR(Io, "symbolic link", store.read_snapshot());
}

TEST_F(Stored, AppendsBehindWhatIsCovered) {
  store.append(0, "ab\n");
  store.append(3, "cd\n");
  EXPECT_EQ(store.read_entries(), "ab\ncd\n");
  testing::SpyScope spy;
  spy->fail = [](const FileCall& call) { return call.call == "fdatasync" ? EIO : 0; };
  EXPECT_ERROR(Io, "entries.jsonl: fdatasync: Input/output error", (store.append(6, "ef\n"), 0));
}

TEST_F(Stored, ATailIsKeptApartBeforeItIsCutOff) {
  store.append(0, "ab\ncd\n");
  const std::string name = "quarantine-" + sha256_hex("cd\n").substr(0, 16) + ".jsonl";
  {
    testing::SpyScope spy;
    spy->fail = [](const FileCall& call) { return call.call == "ftruncate" ? EIO : 0; };
    EXPECT_ERROR(Io, "entries.jsonl: Input/output error", (store.quarantine(3, "cd\n"), 0));
  }
  EXPECT_EQ(store.read_entries(), "ab\ncd\n");
  EXPECT_THAT(store.quarantine_files(), ElementsAre(name));
  store.quarantine(3, "cd\n");  // again, after the crash
  EXPECT_EQ(store.read_entries(), "ab\n");
  EXPECT_THAT(store.quarantine_files(), ElementsAre(name));
  EXPECT_EQ(store.read_quarantine(name), "cd\n");
  expect_private(dir / name, 0600);
}

TEST_F(Stored, ATailThatCannotBeKeptStays) {
  store.append(0, "ab\ncd\n");
  testing::SpyScope spy;
  spy->fail_fsync = ENOSPC;
  EXPECT_ERROR(Io, "No space left on device", (store.quarantine(3, "cd\n"), 0));
  EXPECT_EQ(store.read_entries(), "ab\ncd\n");
}

TEST_F(Stored, QuarantineFilesAreSortedAndNoOthers) {
  store.publish("note");
  for (const char* name : {"quarantine-b.jsonl", "quarantine-a.jsonl", "a-quarantine-c.jsonl"})
    write_text(dir / name, "x");
  EXPECT_THAT(store.quarantine_files(), ElementsAre("quarantine-a.jsonl", "quarantine-b.jsonl"));
  EXPECT_ERROR(Io, "quarantine-c.jsonl: No such file", store.read_quarantine("quarantine-c.jsonl"));
}

}  // namespace
}  // namespace qpcseal::audit
