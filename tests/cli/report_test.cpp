// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/print.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::cli {
namespace {

using OrderedJson = nlohmann::ordered_json;
using qpcseal::testing::TempFolder;
using qpcseal::testing::write_text;
using ::testing::ElementsAre;

std::string put_together(const Report& report, bool json) {
  std::string out;
  put_report(report, json, [&](std::string_view part) { out += part; });
  return out;
}

// `report` with the items in its list, as a command that does not stream has it.
Report streaming(OrderedJson json, const std::string& list, const std::vector<OrderedJson>& items) {
  Report out;
  out.text = "not this";
  out.json = std::move(json);
  out.streamed = Report::Streamed{list,
                                  [](const auto& put) {
                                    put("first\n");
                                    put("second\n");
                                  },
                                  [items](const auto& put) {
                                    for (const OrderedJson& item : items) put(item);
                                  }};
  return out;
}

TEST(PutReport, IsTextOrJson) {
  Report report;
  report.text = "two keys\n";
  report.json = {{"keys", 2}};
  EXPECT_EQ(put_together(report, false), "two keys\n");
  EXPECT_EQ(put_together(report, true), "{\n  \"keys\": 2\n}\n");
}

TEST(PutReport, OfAStreamIsItsTextPieceByPiece) {
  EXPECT_EQ(put_together(streaming({}, "entries", {}), false), "first\nsecond\n");
}

TEST(PutReport, OfAStreamIsTheJsonThatOneObjectWouldGive) {
  const OrderedJson nested{
      {"seq", 1}, {"text", "a\nb\u00fc\x1b"}, {"data", {{"list", {1, 2}}, {"none", {}}}}};
  const std::vector<std::vector<OrderedJson>> lists{{}, {7}, {nested, "x", OrderedJson::array(), nested}};
  for (const auto& items : lists) {
    for (const OrderedJson& json :
         {OrderedJson{{"entries", OrderedJson::array()}},
          OrderedJson{
              {"log", {{"size", 3}}}, {"entries", OrderedJson::array()}, {"a \"b\"\n", {{"c", "d\ne"}}}}}) {
      OrderedJson whole = json;
      for (const OrderedJson& item : items) whole["entries"].push_back(item);
      EXPECT_EQ(put_together(streaming(json, "entries", items), true), json_text(whole)) << items.size();
    }
  }
}

TEST(PutReport, PassesOnWhatTheStreamThrows) {
  Report report = streaming({{"entries", OrderedJson::array()}}, "entries", {});
  report.streamed->write_items = [](const auto&) { throw Error(ErrorKind::LogDamaged, "entry 7"); };
  EXPECT_ERROR(LogDamaged, "entry 7", put_together(report, true));
}

class WrittenFiles : public ::testing::Test {
 protected:
  // "NAME CONTENT" of each that the report names, by the digest of what was written.
  [[nodiscard]] std::vector<std::string> named() const {
    std::vector<std::string> out;
    for (const auto& one : report.json.at("written")) {
      const std::filesystem::path path = one.at("path").get<std::string>();
      for (const char* content : {"a", "b"})
        if (one.at("sha256") == sha256_hex(content))
          out.push_back(path.lexically_relative(folder.path()).string() + " " + content);
    }
    return out;
  }
  TempFolder folder;
  Report report;
};

TEST_F(WrittenFiles, AreNamedOnceInOrderAndOfAFolderAllBelowIt) {
  std::filesystem::create_directories(folder / "out/deep");
  write_text(folder / "z", "a");
  write_text(folder / "out/two", "b");
  write_text(folder / "out/deep/one", "a");
  report.written = {folder / "z", folder / "out", folder / "out/two", folder / "z"};
  add_written(report);
  EXPECT_THAT(named(), ElementsAre("out/deep/one a", "out/two b", "z a"));
}

TEST_F(WrittenFiles, DoNotCountStandardOutput) {
  write_text(folder / "z", "a");
  report.written = {"-", folder / "z"};
  add_written(report);
  EXPECT_THAT(named(), ElementsAre("z a"));
}

TEST_F(WrittenFiles, AreNoMemberWhereNoneHasAName) {
  for (const std::vector<std::filesystem::path>& none :
       {std::vector<std::filesystem::path>{}, {"-"}, {folder.path()}}) {
    report.written = none;
    add_written(report);
    EXPECT_FALSE(report.json.contains("written"));
  }
}

TEST_F(WrittenFiles, AreReadAgain) {
  report.written = {folder / "gone"};
  EXPECT_ERROR(Io, "gone", add_written(report));
}

TEST(FindingLines, AreOneLineEachWhateverIsInThem) {
  const Findings findings{{"POL-DBGSTAT", "dbgstat", "0", "at least 3", "policy.toml:12"},
                          {"ATT-X", "name", "a\nb\x1b", "", "r"}};
  EXPECT_THAT(finding_lines(findings),
              ElementsAre("POL-DBGSTAT: dbgstat is 0, expected at least 3 (policy.toml:12)",
                          "ATT-X: name is a\\x0ab\\x1b, expected  (r)"));
  EXPECT_EQ(as_json(findings)[1].dump(-1, ' ', true),
            "{\"id\":\"ATT-X\",\"claim\":\"name\",\"observed\":\"a\\nb\\u001b\",\"expected\":\"\","
            "\"rule\":\"r\"}");
}

}  // namespace
}  // namespace qpcseal::cli
