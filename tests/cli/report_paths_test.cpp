// SPDX-License-Identifier: Apache-2.0
// Which files count as reports, in which order, and that a list from elsewhere names none elsewhere.
#include "appliance/cli/output/report_paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/attest/test_card.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"
#include "tests/policy/sample.h"
#include "tests/support/variable.h"

namespace qpcseal::cli {
namespace {

using qpcseal::testing::TempFolder;
using qpcseal::testing::Variable;
using qpcseal::testing::write_text;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ReportFiles : public ::testing::Test {
 protected:
  void touch(const std::vector<std::string>& names) const {
    for (const std::string& name : names) write_text(folder / name, "x");
  }
  // Of the folder, or of a list in it with this text: names in it.
  [[nodiscard]] std::vector<std::string> in_folder() const { return relative({folder.path().string()}); }
  [[nodiscard]] std::vector<std::string> in_list(const std::string& text) const {
    write_text(folder / "list", text);
    return relative({"@" + (folder / "list").string()});
  }
  [[nodiscard]] std::vector<std::string> relative(const std::vector<std::string>& arguments) const {
    std::vector<std::string> out;
    for (const std::filesystem::path& path : report_paths(arguments)) {
      EXPECT_EQ(path.parent_path(), folder.path());
      out.push_back(path.filename());
    }
    return out;
  }
  TempFolder folder;
};

TEST_F(ReportFiles, OfAFolderAreThoseWithTheirEndings) {
  touch({"a.report", "b.dat", "c.request", "d.report.part", "report", ".hidden.report"});
  std::filesystem::create_directory(folder / "deep");
  touch({"deep/e.report"});
  EXPECT_THAT(in_folder(), ElementsAre("a.report", "b.dat"));
}

TEST_F(ReportFiles, OfAFolderStandInTheOrderOfTheirNumbers) {
  touch({"node-10.report", "node-2.report", "node-02.report", "node-1-card-11.report", "node-1-card-9.report",
         "node.report", "node-99999999999999999999999.report", "node-100000000000000000000000.report"});
  EXPECT_THAT(in_folder(),
              ElementsAre("node-1-card-9.report", "node-1-card-11.report", "node-02.report", "node-2.report",
                          "node-10.report", "node-99999999999999999999999.report",
                          "node-100000000000000000000000.report", "node.report"));
}

TEST_F(ReportFiles, OfAFolderAreOneAtLeast) {
  touch({"a.request"});
  EXPECT_ERROR(Usage, folder.path().string() + ": no report in it", in_folder());
}

TEST_F(ReportFiles, OfAListAreThoseBesideItInItsOrder) {
  EXPECT_THAT(in_list("b.report\n\n# no.report\na\n"), ElementsAre("b.report", "a"))
      << "there or not, of any ending";
  EXPECT_THAT(in_list("\xEF\xBB\xBF"
                      "a\r\nb"),
              ElementsAre("a", "b"))
      << "as editors write it";
}

TEST_F(ReportFiles, OfAListAreNowhereElse) {
  for (const char* name : {"../a.report", "/etc/passwd", "deep/a.report", ".", "..", ".hidden", "a/"})
    EXPECT_ERROR(Malformed, "list:2: '" + std::string(name) + "' is not the name of a file beside the list",
                 in_list("good\n" + std::string(name) + "\n"));
  EXPECT_ERROR(Malformed, "list:1: a name with a zero byte", in_list(std::string("ab\0c\n", 5)));
}

TEST_F(ReportFiles, OfAListAreOneAtLeast) {
  EXPECT_ERROR(Usage, "no report in the list", in_list("# none\n\n"));
  EXPECT_ERROR(Usage, "no report in the list", in_list(""));
  EXPECT_ERROR(Io, "gone", report_paths({"@" + (folder / "gone").string()}));
}

TEST_F(ReportFiles, OfAListAreNeverStandardInput) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_text("list", "-\n");
  EXPECT_THAT(report_paths({"@list"}), ElementsAre(std::filesystem::path("./-")));
  std::filesystem::current_path(before);
}

TEST_F(ReportFiles, StandInTheOrderOfTheArguments) {
  touch({"a.report"});
  write_text(folder / "list", "z\n");
  EXPECT_THAT(relative({"@" + (folder / "list").string(), folder / "none", folder.path()}),
              ElementsAre("z", "none", "a.report"));
  EXPECT_THAT(report_paths({}), IsEmpty());
}

TEST_F(ReportFiles, Are20000AtMost) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "r\n";
  EXPECT_EQ(in_list(text).size(), 20000U);
  EXPECT_ERROR(Usage, "20001 reports; at most 20000", in_list(text + "r\n"));
}

TEST_F(ReportFiles, OfRequestsThatNobodyAnsweredAreMissing) {
  touch({"n-10.request", "n-2.request", "n-1.request", "n-1.report", "n-3.report"});
  EXPECT_THAT(requests_without_report({folder.path(), folder / "n-1.request"}),
              ElementsAre("n-2.request", "n-10.request"));
}

TEST_F(ReportFiles, HaveTheFormOfASchemeUnlessThePolicyNamesAVerifier) {
  write_text(folder / "other.report", "a vendor's own form");
  const testing::TestCard card;
  const Bytes report = card.report();
  write_file(folder / "card.report", report, Existing::Refuse);
  const std::vector<std::string> other{folder / "other.report"}, own{folder / "card.report"};
  const Variable home("QPCSEAL_HOME", folder.path().c_str());
  EXPECT_THAT(report_digests(own), ElementsAre(sha256(report)));
  EXPECT_ERROR(Malformed, "other.report", report_digests(other)) << "there is no policy";
  const auto with_scheme = [&](const std::string& scheme) {
    write_text(folder / "policy.toml",
               qpcseal::testing::sample_policy_text("scheme = \"eat-card\"", "scheme = \"" + scheme + "\""));
    return report_digests(other);
  };
  EXPECT_ERROR(Malformed, "other.report", with_scheme("eat-card"));
  EXPECT_THAT(with_scheme("external:sdk"), ElementsAre(sha256(view("a vendor's own form"))));
}

}  // namespace
}  // namespace qpcseal::cli
