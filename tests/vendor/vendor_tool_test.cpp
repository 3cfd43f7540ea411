// SPDX-License-Identifier: Apache-2.0
// What is refused before the key leaves, and what is left where the tool fails after it did.
#include "appliance/vendor/vendor_tool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "appliance/mek/rotate.h"
#include "base/digest.h"
#include "tests/base/expect_error.h"
#include "tests/vendor/pinned_tool.h"

namespace qpcseal::vendor {
namespace {

using qpcseal::testing::write_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(VendorActs, HaveTheNamesOfTheToolsOwnCommands) {
  EXPECT_EQ(name_of(VendorAct::EncryptModel), "encrypt-model");
  EXPECT_EQ(name_of(VendorAct::EncryptWithSessionKeys), "encrypt-with-session-keys");
  EXPECT_EQ(name_of(VendorAct::WrapMek), "wrap-mek");
}

class VendorTool : public qpcseal::testing::PinnedTool {
 protected:
  // Encrypts a model of this text, which the tool runs.
  VendorResult encrypt(const std::string& model) {
    write_text(model_, model);
    return run_vendor_tool(*appliance_, mek_, options());
  }
  [[nodiscard]] ToolOptions options() const {
    ToolOptions out;
    out.input = model_;
    out.output_folder = output_;
    out.time = std::chrono::seconds(60);
    return out;
  }
  [[nodiscard]] std::uint64_t log_size() const { return appliance_->log().state().size; }

  qpcseal::testing::TempFolder temp_;
  std::filesystem::path model_ = temp_ / "model.qpc", output_ = temp_ / "out";
};

TEST_F(VendorTool, GivesItsFolderTheNameOfTheOutput) {
  const VendorResult made = encrypt("printf x > /qpcseal/out/a\n");
  EXPECT_EQ(made.output, output_);
  ASSERT_EQ(made.outputs.size(), 1U);
  EXPECT_EQ(made.outputs[0].sha256, sha256_hex("x"));
  EXPECT_EQ(qpcseal::testing::read_text(output_ / "a"), "x");
  EXPECT_THAT(demo().last_entries(3), ElementsAre("mek-expose", "mek-expose", "mek-expose ok"));
}

TEST_F(VendorTool, ThatFailsLeavesNothingAndTheKeyExposed) {
  try {
    encrypt("printf x > /qpcseal/out/a\nexit 3\n");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Io);
    EXPECT_STREQ(error.what(), "the vendor's tool ended with exit status 3");
    EXPECT_THAT(error.hint(), HasSubstr(mek_.label + " was handed to the tool and counts as exposed"));
    EXPECT_THAT(error.hint(), HasSubstr("nothing that the tool made is kept"));
  }
  EXPECT_THAT(temp_.names(), ElementsAre("model.qpc"));
  EXPECT_THAT(demo().last_entries(3), ElementsAre("mek-expose", "mek-expose", "mek-expose unknown"));
  EXPECT_EQ(appliance_->log().state().meks.at(mek_.id).exposures, 1U);
}

// Officers agreed to one model, and whoever may write to its file could give the tool another.
TEST_F(VendorTool, ThatWasGivenAModelThatChangedLeavesNothing) {
  std::jthread writer([this](const std::stop_token& stop) {
    const auto is_running = [this] {
      for (const auto& item : std::filesystem::recursive_directory_iterator(temp_.path()))
        if (item.path().filename() == "running") return true;
      return false;
    };
    while (!stop.stop_requested() && !is_running())
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::ofstream(model_, std::ios::app) << "# changed\n";
  });
  EXPECT_ERROR(
      Denied, "changed while the tool ran",
      encrypt("printf x > /qpcseal/out/running\n"
              "until /usr/bin/grep -q '^# changed' /qpcseal/in/model.qpc; do /usr/bin/sleep 0.1; done\n"));
  EXPECT_THAT(temp_.names(), ElementsAre("model.qpc"));
}

TEST_F(VendorTool, NeedsAReportWhereItMakesNoModel) {
  const std::uint64_t before = log_size();
  ToolOptions wrapping = options();
  for (const VendorAct act : {VendorAct::WrapMek, VendorAct::EncryptWithSessionKeys}) {
    wrapping.act = act;
    EXPECT_ERROR(Usage, "no report: give --pub-keys", run_vendor_tool(*appliance_, mek_, wrapping));
  }
  EXPECT_EQ(log_size(), before);
}

TEST_F(VendorTool, Takes32ReportsAtMost) {
  ToolOptions many = options();
  many.reports.resize(33);
  EXPECT_ERROR(Usage, "more than 32 reports for one run of the tool",
               run_vendor_tool(*appliance_, mek_, many));
  many.reports.resize(32);
  EXPECT_ERROR(Io, "model.qpc", run_vendor_tool(*appliance_, mek_, many)) << "which is read next";
}

TEST_F(VendorTool, EncryptsNothingUnderAKeyThatWasReplaced) {
  const std::uint64_t exposed = appliance_->log().state().meks.at(mek_.id).exposures;
  mek::rotate(*appliance_, mek_.name);
  EXPECT_ERROR(Denied, "seals nothing more", encrypt("printf x > /qpcseal/out/a\n"));
  EXPECT_EQ(appliance_->log().state().meks.at(mek_.id).exposures, exposed);
}

TEST_F(VendorTool, NeedsAFreeNameForItsOutputBeforeTheKeyLeaves) {
  const std::uint64_t before = log_size();
  std::filesystem::create_directory(output_);
  write_text(output_ / "mine", "precious");
  EXPECT_ERROR(Io, "exists", encrypt("printf x > /qpcseal/out/a\n"));
  EXPECT_EQ(log_size(), before);
}

}  // namespace
}  // namespace qpcseal::vendor
