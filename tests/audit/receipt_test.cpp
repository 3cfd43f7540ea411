// SPDX-License-Identifier: Apache-2.0
// Receipts: what they must have, and what is refused of them. Those across rotations are in
// rotation_test.cpp.
#include "appliance/audit/receipt.h"

#include <gtest/gtest.h>

#include "appliance/audit/log.h"
#include "base/error.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

class Receipts : public ::testing::Test {
 protected:
  void SetUp() override {
    Log log = host_.create();
    for (std::uint64_t i = 1; i < 6; ++i) log.event("challenge", testing::challenge_data(i));
  }
  [[nodiscard]] LogCopy copy() const { return read_log(host_.dir, std::nullopt); }
  [[nodiscard]] tlog::VerifierKey key() const { return host_.signer.verifier(testing::kOrigin); }
  [[nodiscard]] encoding::Json receipt(std::uint64_t seq) const {
    return encoding::Json::parse(make_receipt(copy(), seq));
  }
  void refused(ErrorKind kind, const std::string& words, const std::function<void(encoding::Json&)>& change) {
    encoding::Json bad = receipt(2);
    change(bad);
    try {
      check_receipt(encoding::canonical(bad), key());
      ADD_FAILURE() << "accepted, wanted: " << words;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  }

  testing::TempFolder temp_;
  testing::HostLog host_{temp_ / "log"};
};

TEST_F(Receipts, OfEachEntryAreAccepted) {
  for (std::uint64_t seq = 0; seq < 6; ++seq) {
    const Receipt got = check_receipt(make_receipt(copy(), seq), key());
    EXPECT_EQ(got.entry.seq, seq);
    EXPECT_EQ(got.checkpoint, copy().checkpoint);
  }
  EXPECT_ERROR(Usage, "no entry 6", make_receipt(copy(), 6));
}

TEST_F(Receipts, OfAnotherKindAreRefused) {
  refused(ErrorKind::Malformed, "not a receipt", [](encoding::Json& bad) { bad["type"] = "qpcseal-bundle"; });
  refused(ErrorKind::Malformed, "not a receipt", [](encoding::Json& bad) { bad["v"] = 2; });
  refused(ErrorKind::Malformed, "unknown member", [](encoding::Json& bad) { bad["more"] = 1; });
  for (const char* member : {"type", "v", "index", "entry", "proof", "checkpoint", "rotations"})
    refused(ErrorKind::Malformed, std::string("no member '") + member,
            [&](encoding::Json& bad) { bad.erase(member); });
  EXPECT_ERROR(Malformed, "canonical", check_receipt(receipt(2).dump(1), key()));
}

TEST_F(Receipts, WithAnotherProofOrPlaceAreRefused) {
  refused(ErrorKind::LogDamaged, "not in the log", [](encoding::Json& bad) { bad["index"] = 3; });
  refused(ErrorKind::LogDamaged, "not in the log", [](encoding::Json& bad) { bad["proof"].erase(0); });
  refused(ErrorKind::LogDamaged, "not in the log",
          [&](encoding::Json& bad) { bad["entry"] = receipt(3)["entry"]; });
  refused(ErrorKind::Malformed, "no proof", [](encoding::Json& bad) { bad["proof"] = "none"; });
  refused(ErrorKind::Malformed, "no proof",
          [](encoding::Json& bad) { bad["proof"] = encoding::Json(65, to_base64(tlog::Hash{})); });
  refused(ErrorKind::Malformed, "proof is of texts", [](encoding::Json& bad) { bad["proof"][0] = 1; });
  refused(ErrorKind::Malformed, "another size", [](encoding::Json& bad) { bad["proof"][0] = "AAAA"; });
}

// Two entries of one text cannot be in one log that was written well; in one signed wrongly they can.
TEST_F(Receipts, AnEntryWithAnotherNumberIsRefused) {
  const std::string text = testing::read_text(host_.dir / "entries.jsonl");
  tlog::Tree tree;
  for (const std::string_view line : split_lines(text)) tree.append(tlog::leaf_hash(view(line)));
  tree.append(tree.leaf(2));
  encoding::Json bad = receipt(2);
  bad["index"] = 6;
  bad["proof"] = as_json(tree.inclusion(6, 7));
  bad["checkpoint"] = tlog::sign_checkpoint({7, tree.root()}, key(), host_.signer);
  EXPECT_ERROR(LogDamaged, "another number", check_receipt(encoding::canonical(bad), key()));
}

TEST_F(Receipts, WithRotationsThatAreNoneAreRefused) {
  refused(ErrorKind::Malformed, "'rotations' is not a list",
          [](encoding::Json& bad) { bad["rotations"] = "none"; });
  refused(ErrorKind::Malformed, "'rotations' is not a list",
          [](encoding::Json& bad) { bad["rotations"] = encoding::Json(257, encoding::Json::object()); });
  refused(ErrorKind::Malformed, "a rotation that is none", [](encoding::Json& bad) {
    bad["rotations"] =
        encoding::Json::array({{{"index", bad["index"]}, {"entry", bad["entry"]}, {"proof", bad["proof"]}}});
  });
}

}  // namespace
}  // namespace qpcseal::audit
