// SPDX-License-Identifier: Apache-2.0
// What a launcher does for a process, and what it refuses. launched/ runs the tests of the sandbox through
// one.
#include "confine/launcher.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/digest.h"
#include "base/error.h"
#include "base/secret.h"
#include "confine/pinned.h"
#include "confine/sandbox.h"
#include "process/file_access.h"
#include "process/system_calls.h"
#include "tests/base/temp_folder.h"
#include "tests/process/in_child.h"

namespace qpcseal::confine {
namespace {

using process::tests::in_child;

constexpr std::string_view kProgram = "#!/bin/sh\necho ran\n", kOther = "#!/bin/sh\necho other\n";

void begin_launcher(std::optional<std::vector<std::string>> programs) {
  start_launcher(
      {std::move(programs), [] { static_cast<void>(process::filter_calls(process::Calls::Launcher)); }});
}

Job job_of(std::string_view text, bool executable = true) {
  Job job;
  job.command = {"/opt/program"};
  job.files.push_back({"/opt/program", std::make_shared<const Fd>(memory_file(view(text))), executable});
  return job;
}

// 0: it ran; 1: denied.
int outcome(const Job& job) {
  try {
    return text_view(run(job).output) == "ran\n" ? 0 : 2;
  } catch (const Error& error) {
    return error.kind() == ErrorKind::Denied ? 1 : 3;
  }
}

int exec_true() {
  char name[] = "/bin/true";
  char* words[] = {name, nullptr};
  execve(name, words, words + 1);
  return errno;
}

TEST(Launcher, RunsAProgramForAProcessThatCannot) {
  EXPECT_EQ(
      in_child([] {
        begin_launcher(std::nullopt);
        const bool confined =
            process::filter_calls(process::Calls::Token) && process::restrict_files(process::system_files());
        return confined && exec_true() == EPERM && fault_of_sandbox().empty() ? outcome(job_of(kProgram)) : 9;
      }),
      0);
  // So that it is the launcher's doing.
  EXPECT_EQ(
      in_child([] { return process::filter_calls(process::Calls::Token) ? outcome(job_of(kProgram)) : 9; }),
      3);
}

TEST(Launcher, RunsAProgramForAProcessWithFilesAndMessagesAlone) {
  EXPECT_EQ(in_child([] {
              begin_launcher(std::nullopt);
              return process::filter_calls(process::Calls::FilesAndMessages) ? outcome(job_of(kProgram)) : 9;
            }),
            0);
}

TEST(Launcher, RefusesWhatItWasNotBegunFor) {
  const std::vector<std::string> pinned{sha256_hex(view(kProgram))};
  const auto with_pins = [&](const Job& job) {
    return in_child([&] {
      begin_launcher(pinned);
      return outcome(job);
    });
  };
  EXPECT_EQ(with_pins(job_of(kProgram)), 0);
  EXPECT_EQ(with_pins(job_of(kOther)), 1);
  EXPECT_EQ(with_pins(job_of(kProgram, false)), 1) << "what runs must be pinned";
  Job system = job_of(kProgram);
  system.command = {"/bin/sh", "-c", "echo ran"};
  EXPECT_EQ(with_pins(system), 1);
  Job more = job_of(kProgram);
  more.files.push_back({"/opt/more", std::make_shared<const Fd>(memory_file(view(kOther))), true});
  EXPECT_EQ(with_pins(more), 1);
}

TEST(Launcher, LoadsPinnedFilesAndNoOthers) {
  const qpcseal::testing::TempFolder dir;
  const std::string path = dir / "program";
  std::ofstream(path) << kProgram;
  const auto load = [&](const std::string& digest) {
    return in_child([&] {
      begin_launcher(std::nullopt);
      if (!process::restrict_files(process::system_files())) return 9;
      if (open(path.c_str(), O_RDONLY | O_CLOEXEC) >= 0) return 8;
      try {
        const GivenFile file = load_pinned({path, digest}, true);
        Job job = job_of(kProgram);
        job.command = {path};
        job.files = {file};
        return outcome(job);
      } catch (const Error& error) {
        return error.kind() == ErrorKind::Denied ? 1 : 3;
      }
    });
  };
  EXPECT_EQ(load(sha256_hex(view(kProgram))), 0);
  EXPECT_EQ(load(sha256_hex(view(kOther))), 1);
}

TEST(Launcher, KeepsNoDescriptorAndEndsWithItsProcess) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  EXPECT_EQ(in_child([&] {
              begin_launcher(std::nullopt);
              return outcome(job_of(kProgram));
            }),
            0);
  close(ends[1]);
  char byte = 0;
  EXPECT_EQ(read(ends[0], &byte, 1), 0) << "nobody else has the other end";
  close(ends[0]);
}

TEST(Launcher, HasNoSecretOfItsProcess) {
  EXPECT_EQ(in_child([] {
              SecretBuffer pin(6);
              std::ranges::fill(pin.bytes(), std::uint8_t{'7'});
              start_launcher({std::nullopt, [&] {
                                if (std::ranges::find(pin.bytes(), '7') != pin.bytes().end()) _exit(0);
                              }});
              return outcome(job_of(kProgram));
            }),
            0)
      << "a launcher that has it ends, and runs nothing";
}

TEST(Launcher, SaysThatItHasEnded) {
  EXPECT_EQ(in_child([] {
              start_launcher({std::nullopt, [] { _exit(0); }});
              return outcome(job_of(kProgram));
            }),
            3);
}

}  // namespace
}  // namespace qpcseal::confine
