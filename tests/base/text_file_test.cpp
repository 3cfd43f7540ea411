// SPDX-License-Identifier: Apache-2.0
// Text as other systems leave it.
#include "base/text_file.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/nearest.h"
#include "encoding/file_kind.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal {
namespace {

using namespace std::string_view_literals;

TEST(PlainText, EndsLinesWithLineFeeds) {
  EXPECT_EQ(plain_text("a\r\nb\r\n"), "a\nb\n");
  EXPECT_EQ(plain_text("a\nb"), "a\nb");
  EXPECT_EQ(plain_text(""), "");
}

TEST(PlainText, KeepsCarriageReturnsThatEndNoLine) { EXPECT_EQ(plain_text("a\rb\r\r\nc\r"), "a\rb\r\nc\r"); }

TEST(PlainText, TakesOneByteOrderMarkAway) {
  EXPECT_EQ(plain_text("\xEF\xBB\xBF"
                       "a\xEF\xBB\xBF"),
            "a\xEF\xBB\xBF");
}

TEST(PlainText, NamesWideEncodings) {
  EXPECT_ERROR(Malformed, "this is UTF-16 text",
               plain_text("\xFF\xFE"
                          "a\0"sv));
  EXPECT_ERROR(Malformed, "this is UTF-16 text", plain_text("\xFE\xFF\0a"sv));
  EXPECT_ERROR(Malformed, "this is UTF-32 text", plain_text("\xFF\xFE\0\0a\0\0\0"sv));
  EXPECT_ERROR(Malformed, "this is UTF-16 text", plain_text("a\0b\0"sv));
  EXPECT_EQ(wide_encoding("ab"), "");
  EXPECT_EQ(wide_encoding("\0\0"sv), "");
}

TEST(PlainText, AFileIsNamedOnce) {
  const testing::TempFolder folder;
  const auto path = folder.path() / "a";
  write_file(path, view("a\0"sv), Existing::Refuse);
  EXPECT_ERROR(Malformed, path.string() + ": this is UTF-16 text", read_plain_text(path, 100));
  EXPECT_ERROR(Malformed, "more than the 1 allowed", read_plain_text(path, 1));
}

TEST(Moments, ADayIsItsFirstOrItsLastSecond) {
  EXPECT_EQ(parse_time_or_day("2026-11-24", OfDay::First), parse_time("2026-11-24T00:00:00Z"));
  EXPECT_EQ(parse_time_or_day("2026-11-24", OfDay::Last), parse_time("2026-11-24T23:59:59Z"));
  EXPECT_EQ(parse_time_or_day("2026-11-24T08:30:00Z", OfDay::Last), parse_time("2026-11-24T08:30:00Z"));
  EXPECT_ERROR(Malformed, "not a time", parse_time_or_day("2026-13-24", OfDay::First));
}

TEST(Nearest, FindsWhatWasMeant) {
  const std::vector<std::string> known{"list", "show", "generate", "encrypt-model"};
  EXPECT_EQ(nearest("lst", known), "list");
  EXPECT_EQ(nearest("sohw", known), "show");
  EXPECT_EQ(nearest("gen", known), "generate");
  EXPECT_EQ(nearest("encrypt-modl", known), "encrypt-model");
}

TEST(Nearest, FindsNothingFarAway) {
  EXPECT_EQ(nearest("x", {"a", "list"}), std::nullopt);
  EXPECT_EQ(nearest("destroy", {"list", "show"}), std::nullopt);
  EXPECT_EQ(nearest("", {"a"}), std::nullopt);
}

TEST(FileKind, IsToldByTheFirstBytes) {
  EXPECT_EQ(encoding::file_kind(view("-----BEGIN SSH SIGNATURE-----\n")), "an SSH signature");
  EXPECT_EQ(encoding::file_kind(view("text\n-----BEGIN CERTIFICATE-----\n")), "a certificate");
  EXPECT_EQ(encoding::file_kind(view("node 1 0 n-0.request n-0.report\n")), "a courier's batch");
  EXPECT_EQ(encoding::file_kind(view("")), "");
  EXPECT_EQ(encoding::file_kind(view("one two three four five")), "");
}

TEST(FileKind, OnlyAnotherKindChangesTheMessage) {
  const auto refuse = [] { throw Error(ErrorKind::Malformed, "truncated"); };
  const ByteView receipt = view("{\"type\":\"qpcseal-receipt\"}");
  EXPECT_ERROR(Malformed, "this is a receipt, not a policy", encoding::as_kind(receipt, "a policy", refuse));
  EXPECT_ERROR(Malformed, "truncated", encoding::as_kind(receipt, "a receipt", refuse));
  EXPECT_ERROR(Malformed, "truncated", encoding::as_kind(view("?"), "a receipt", refuse));
  EXPECT_ERROR(Io, "gone",
               encoding::as_kind(receipt, "a policy", [] { throw Error(ErrorKind::Io, "gone"); }));
}

}  // namespace
}  // namespace qpcseal
