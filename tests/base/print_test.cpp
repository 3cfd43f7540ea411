// SPDX-License-Identifier: Apache-2.0
// What reaches standard output, standard error and a terminal.
#include "base/print.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal {
namespace {

constexpr const char* kNasty = "a\x1b[2J\u009b2J\u202e\nb";
constexpr const char* kShown = "a\\x1b[2J\\xc2\\x9b2J\\xe2\\x80\\xae\nb";

template <typename Act>
std::string captured(Act&& act) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  std::forward<Act>(act)();
  return ::testing::internal::GetCapturedStdout() + ::testing::internal::GetCapturedStderr();
}

TEST(Print, EscapesAllButLineFeeds) {
  EXPECT_EQ(captured([] { print(kNasty); }), kShown);
  EXPECT_EQ(captured([] { print_error(kNasty); }), kShown);
}

TEST(Print, AFailureIsOneLineAndItsHintAnother) {
  EXPECT_EQ(captured([] { print_failure("qpcseal", "a\nqpcseal: done\x1b", "b\nc"); }),
            "qpcseal: error: a\\x0aqpcseal: done\\x1b\nhint: b\\x0ac\n");
  EXPECT_EQ(captured([] { print_failure("qpcseal", "a"); }), "qpcseal: error: a\n");
}

TEST(Print, ADrawnLineHasNoControlsButItsOwn) {
  EXPECT_EQ(captured([] { draw_line("a\x1b[1m\n"); }), "\ra\\x1b[1m\\x0a\033[K");
}

TEST(Print, ToATerminalLikewise) {
  const testing::TempFolder folder;
  const std::filesystem::path path = folder.path() / "terminal";
  {
    const Fd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    print_to(file.get(), kNasty);
  }
  EXPECT_EQ(text_view(read_file(path, 100)), kShown);
  EXPECT_ERROR(Io, "/dev/tty", print_to(-1, "a"));
}

TEST(Print, JsonIsAsciiAndMeansTheSame) {
  const nlohmann::ordered_json json{{"name", "\u00fc\u202e\u009b\x7f\x1b"}};
  const std::string text = json_text(json);
  EXPECT_EQ(text, "{\n  \"name\": \"\\u00fc\\u202e\\u009b\\u007f\\u001b\"\n}\n");
  EXPECT_EQ(nlohmann::ordered_json::parse(text), json);
  EXPECT_EQ(json_text(nlohmann::ordered_json("\xff")), "\"\\ufffd\"\n");
}

}  // namespace
}  // namespace qpcseal
