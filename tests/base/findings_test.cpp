// SPDX-License-Identifier: Apache-2.0
// Findings as JSON, and bytes that several hold.
#include "encoding/json_findings.h"

#include <gtest/gtest.h>

#include "base/shared_bytes.h"
#include "encoding/json.h"

namespace qpcseal::encoding {
namespace {

TEST(FindingsAsJson, HaveAllMembersInTheOrderOfTheirReader) {
  const Findings two{{"ATT-B", "c\"1", "o1", "e1", "r1"}, {"ATT-A", "", "", "", ""}};
  EXPECT_EQ(findings_as<nlohmann::ordered_json>(two).dump(),
            R"([{"id":"ATT-B","claim":"c\"1","observed":"o1","expected":"e1","rule":"r1"},)"
            R"({"id":"ATT-A","claim":"","observed":"","expected":"","rule":""}])");
  EXPECT_EQ(canonical(findings_as<Json>(two)),
            R"([{"claim":"c\"1","expected":"e1","id":"ATT-B","observed":"o1","rule":"r1"},)"
            R"({"claim":"","expected":"","id":"ATT-A","observed":"","rule":""}])");
}

TEST(FindingsAsJson, AreAListWhereThereAreNone) { EXPECT_EQ(canonical(findings_as<Json>({})), "[]"); }

TEST(SharedBytes, LiveAsLongAsAnybodyHoldsThemAndAreNotCopied) {
  Bytes bytes{1, 2, 3};
  const std::uint8_t* place = bytes.data();
  SharedBytes last;
  {
    const SharedBytes first = share(std::move(bytes));
    EXPECT_EQ(first.bytes.data(), place);
    last = first;
  }
  EXPECT_EQ(last.owner.use_count(), 1);
  EXPECT_EQ(copy(last.bytes), (Bytes{1, 2, 3}));
  const std::weak_ptr<const void> watched = last.owner;
  last = {};
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace qpcseal::encoding
