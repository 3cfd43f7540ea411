// SPDX-License-Identifier: Apache-2.0
// The bounds of a run of the tool, and that its files count only where it ended well.
#include "appliance/vendor/tool_run.h"

#include <gtest/gtest.h>

#include "appliance/release/exposure.h"
#include "appliance/vendor/known_outputs.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"
#include "tests/confine/sandbox_here.h"

namespace qpcseal::vendor {
namespace {

audit::LogCopy log_without_entries() {
  return {{}, {}, {}, {}, {"log.test", tlog::KeyType::Ed25519, Bytes(32, 1)}, {}, {}, 0};
}

// A folder to work in, beside an output that is never published here.
struct RunPlace {
  testing::TempFolder temp;
  KnownOutputs known{log_without_entries()};
  ToolRun run{{temp / "out", false, known}, {}, {}};
};

TEST(ToolRunLimits, AreAGibibyteBesideTwiceTheInput) {
  constexpr std::uint64_t kGibibyte = std::uint64_t{1} << 30;
  for (const std::uint64_t input : {std::uint64_t{0}, std::uint64_t{1}, 100 * kGibibyte}) {
    RunPlace place;
    set_limits(place.run, input, std::chrono::seconds(7));
    EXPECT_EQ(place.run.limits.bytes, kGibibyte + (2 * input));
    const confine::Limits& limits = place.run.job.limits;
    EXPECT_EQ(limits.file_size, place.run.limits.bytes) << "one file may be all of it";
    EXPECT_EQ(limits.without_name, place.run.limits.bytes) << "files that have no name take room too";
    EXPECT_EQ(limits.wall, std::chrono::seconds(7));
    EXPECT_EQ(limits.cpu, 7U);
    EXPECT_EQ(limits.memory, release::kToolMemory);
    EXPECT_EQ(limits.output, 4U << 20U);
  }
}

TEST(ToolRunLimits, GoWithTheOneFolderThatItWritesTo) {
  RunPlace place;
  set_limits(place.run, 0, std::chrono::seconds(7));
  ASSERT_EQ(place.run.job.folders.size(), 1U);
  EXPECT_EQ(place.run.job.folders[0].inside, kToolOutput);
  EXPECT_TRUE(place.run.job.folders[0].writable);
}

TEST(ToolRunLimits, AreWatchedWhileItRuns) {
  RunPlace place;
  set_limits(place.run, 0, std::chrono::seconds(7));
  place.run.limits.bytes = 4096;
  EXPECT_EQ(place.run.job.watch(), "");
  testing::write_text(place.run.dir.path() / "a", std::string(10000, 'a'));
  EXPECT_NE(place.run.job.watch(), "");
}

class ToolRuns : public qpcseal::testing::InSandbox {
 protected:
  // What a shell with this text makes in the folder.
  std::vector<ToolOutput> made_by(const std::string& text) {
    place.run.job.command = {"/usr/bin/sh"};
    add_words(place.run.job, {"-c", text});
    set_limits(place.run, 0, std::chrono::seconds(20));
    return run_and_take(place.run);
  }
  RunPlace place;
};

TEST_F(ToolRuns, GiveWhatIsInTheFolder) {
  const std::vector<ToolOutput> made = made_by("printf x > /qpcseal/out/a");
  ASSERT_EQ(made.size(), 1U);
  EXPECT_EQ(made[0].name, "a");
  EXPECT_EQ(made[0].sha256, sha256_hex("x"));
}

TEST_F(ToolRuns, ThatEndWithAnotherStatusGiveNothing) {
  EXPECT_ERROR(Io, "the vendor's tool ended with exit status 3",
               made_by("printf x > /qpcseal/out/a; exit 3"));
}

TEST_F(ToolRuns, ThatAreKilledGiveNothing) {
  EXPECT_ERROR(Io, "the vendor's tool was killed by signal 9",
               made_by("printf x > /qpcseal/out/a; kill -9 $$"));
}

TEST_F(ToolRuns, ThatMakeNothingAreDenied) {
  EXPECT_ERROR(Denied, "what the tool made is not taken", made_by(":"));
}

}  // namespace
}  // namespace qpcseal::vendor
