// SPDX-License-Identifier: Apache-2.0
// The text that officers sign: one form for one meaning, and nothing in it that a screen could show
// otherwise.
#include "appliance/approval/approval_request.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/base/expect_error.h"

namespace qpcseal::release {
namespace {

approval::ApprovalRequest sample() {
  approval::ApprovalRequest out;
  out.operation = "release";
  out.parameters = {
      {"mek", "resnet50#1"}, {"mek_id", std::string(32, '7')}, {"reports", {std::string(64, 'a')}}};
  out.appliance_id = "test";
  out.aud = std::string(32, '1');
  out.token_serial = "0123 \"x\"";
  out.policy_digest = std::string(64, '2');
  out.officers_digest = std::string(64, '3');
  out.log_size = 12;
  out.log_root = std::string(64, '4');
  out.nonce = std::string(64, '5');
  out.not_before = parse_time("2026-11-24T08:30:00Z");
  out.not_after = parse_time("2026-11-25T08:30:00Z");
  out.threshold = 2;
  return out;
}

TEST(ApprovalRequestText, IsReadBackAsWritten) {
  const std::string text = approval::encode_approval_request(sample());
  const approval::ApprovalRequest read = approval::parse_approval_request(text);
  EXPECT_EQ(read.parameters, sample().parameters);
  EXPECT_EQ(read.token_serial, sample().token_serial);
  EXPECT_EQ(approval::encode_approval_request(read), text);
}

TEST(ApprovalRequestText, HasNothingThatAScreenCouldShowOtherwise) {
  approval::ApprovalRequest request = sample();
  request.parameters["model"] =
      "a\xE2\x80\xAE"
      "b\nthreshold: 0\x1b[2K\x7f";
  const std::string text = approval::encode_approval_request(request);
  EXPECT_TRUE(std::ranges::all_of(text, [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
  EXPECT_EQ(std::ranges::count(text, '\n'), 17);
  EXPECT_EQ(approval::parse_approval_request(text).parameters, request.parameters);
}

TEST(ApprovalRequestText, EveryChangedByteIsRefusedOrSaysSomethingElse) {
  const std::string text = approval::encode_approval_request(sample());
  unsigned refused = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string mutant = text;
      mutant[i] = static_cast<char>(mutant[i] ^ (1 << bit));
      try {
        EXPECT_EQ(approval::encode_approval_request(approval::parse_approval_request(mutant)), mutant) << i;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Malformed) << i << ": " << error.what();
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, text.size() * 4);
}

TEST(ApprovalRequestText, LinesInAnotherOrderMissingOrTwiceAreRefused) {
  const std::string text = approval::encode_approval_request(sample());
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at) + 1;
    lines.push_back(text.substr(at, end - at));
    at = end;
  }
  const auto joined = [](const std::vector<std::string>& list) {
    std::string out;
    for (const auto& line : list) out += line;
    return out;
  };
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::vector<std::string> twice = lines, swapped = lines, missing = lines;
    twice.insert(twice.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_ERROR(Malformed, "approval request: ", approval::parse_approval_request(joined(twice)));
    if (!lines[i].starts_with("parameter")) {
      EXPECT_ERROR(Malformed, "approval request: ", approval::parse_approval_request(joined(missing)));
    }
    if (i + 1 == lines.size()) continue;
    std::swap(swapped[i], swapped[i + 1]);
    EXPECT_ERROR(Malformed, "approval request: ", approval::parse_approval_request(joined(swapped)));
  }
}

TEST(ApprovalRequestText, EachLineHasItsForm) {
  const std::string text = approval::encode_approval_request(sample());
  const auto refused = [&](const std::string& name, const std::string& value, const std::string& why) {
    const std::size_t at = text.find("\n" + name + ": ") + name.size() + 3;
    std::string changed = text;
    changed.replace(at, text.find('\n', at) - at, value);
    EXPECT_ERROR(Malformed, "'" + name + "' is not " + why, approval::parse_approval_request(changed))
        << value;
  };
  for (const char* name : {"appliance", "token serial"})
    for (const char* value : {"7", "null", "[\"a\"]"}) refused(name, value, "a text");
  for (const std::string& value :
       {std::string(31, '1'), std::string(33, '1'), std::string(32, 'A'), std::string()})
    refused("aud", value, "16 bytes in lower-case hex");
  for (const char* name : {"policy sha256", "officers sha256", "log root", "nonce"})
    for (const std::string& value : {std::string(63, '1'), std::string(64, 'F'), std::string(64, 'g')})
      refused(name, value, "32 bytes in lower-case hex");
  for (const char* name : {"log size", "threshold"})
    for (const char* value : {"", "x", "-1", "1 ", "0x1", "18446744073709551616"})
      refused(name, value, "a number");
}

TEST(ApprovalRequestText, IsAtMost64KiB) {
  EXPECT_ERROR(Malformed, "more than 64 KiB", approval::parse_approval_request(std::string(65537, 'x')));
  EXPECT_ERROR(Malformed, "it does not begin like one",
               approval::parse_approval_request(std::string(65536, 'x')));
}

TEST(ApprovalRequestText, HoldsPrintableAsciiAlone) {
  const std::string text = approval::encode_approval_request(sample());
  for (const char* odd : {"\xC3\xA9", "\t", "\r", "\x7f"}) {
    std::string changed = text;
    changed.insert(changed.find("resnet"), odd);
    EXPECT_ERROR(Malformed, "it holds more than printable ASCII", approval::parse_approval_request(changed));
  }
  approval::ApprovalRequest request = sample();
  request.nonce = "\x1b[2K";
  EXPECT_ERROR(Malformed, "it holds more than printable ASCII", approval::encode_approval_request(request));
}

TEST(ApprovalRequestText, WhatCannotBeWrittenIsRefused) {
  approval::ApprovalRequest request = sample();
  request.parameters["Upper"] = 1;
  EXPECT_ERROR(Malformed, "parameter's name", approval::encode_approval_request(request));
  request = sample();
  request.operation = "";
  EXPECT_ERROR(Malformed, "operation's name", approval::encode_approval_request(request));
  request = sample();
  request.parameters["x"] = 1.5;
  EXPECT_ERROR(Malformed, "JSON value of a type that the log does not hold",
               approval::encode_approval_request(request));
  request.parameters["x"] = std::string(70000, 'x');
  EXPECT_ERROR(Malformed, "64 KiB", approval::encode_approval_request(request));
}

TEST(ApprovalRequestText, OneThatIsNeverValidIsRefused) {
  approval::ApprovalRequest request = sample();
  request.not_before = request.not_after;
  EXPECT_ERROR(Malformed, "never valid",
               approval::parse_approval_request(approval::encode_approval_request(request)));
}

TEST(ApprovalRequestText, EachOperationHasItsNamespace) {
  EXPECT_EQ(approval::approval_namespace("officers-change"), "officers@qpcseal");
  EXPECT_EQ(approval::approval_namespace("release"), "approval@qpcseal");
  const std::string text = approval::encode_approval_request(sample());
  EXPECT_FALSE(approval::is_approval_request(approval::rejection_text(text)));
  EXPECT_NE(approval::rejection_text(text), approval::rejection_text(text + " "));
}

}  // namespace
}  // namespace qpcseal::release
