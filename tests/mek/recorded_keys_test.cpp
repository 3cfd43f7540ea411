// SPDX-License-Identifier: Apache-2.0
// What a MEK's history allows, and what officers see of it.
#include <gtest/gtest.h>

#include "appliance/mek/backup.h"
#include "appliance/mek/generate.h"
#include "appliance/mek/lifecycle.h"
#include "appliance/mek/rotate.h"
#include "appliance/site/key_census.h"
#include "tests/audit/mek_histories.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::mek {
namespace {

using encoding::Json;
using qpcseal::testing::mek_history;
using qpcseal::testing::state_with;

std::string recorded_id(std::uint8_t number) { return to_hex(Bytes(16, number)); }

TEST(Successor, IsTheNewestGenerationInUse) {
  const audit::MekHistory first = mek_history(1, "a#1", 1, "ok");
  const audit::State state =
      state_with({first, mek_history(2, "a#2", 2, "ok"), mek_history(3, "a#3", 3, "ok"),
                  mek_history(4, "a#4", 4, "suspended"), mek_history(5, "a#5", 5, "pending"),
                  mek_history(6, "b#9", 9, "ok")});
  EXPECT_EQ(successor(state, first)->label, "a#3");
  EXPECT_EQ(successor(state, state.meks.at(Bytes(16, 2)))->label, "a#3");
  EXPECT_FALSE(successor(state, state.meks.at(Bytes(16, 3))));
  EXPECT_FALSE(successor(state, state.meks.at(Bytes(16, 6))));
}

TEST(ReplacedKey, SealsNothingMoreWhateverBecameOfTheNext) {
  const keys::Mek first = site::recorded_mek(mek_history(1, "a#1", 1, "ok"));
  for (const char* made : {"ok", "suspended", "destroyed"})
    EXPECT_ERROR(Denied, "a#1 seals nothing more: a#2 took its place",
                 refuse_replaced(state_with({mek_history(2, "a#2", 2, made)}), first));
  for (const char* never : {"pending", "failed", "unknown", "destroying"})
    EXPECT_NO_THROW(refuse_replaced(state_with({mek_history(2, "a#2", 2, never)}), first)) << never;
  EXPECT_NO_THROW(refuse_replaced(state_with({mek_history(2, "b#2", 2, "ok")}), first)) << "another name";
  EXPECT_NO_THROW(refuse_replaced(state_with({mek_history(2, "a#1", 1, "ok")}), first)) << "no newer one";
}

TEST(ImportCheckValue, KnowsAKeyByItsBytes) {
  const testing::TempFolder folder;
  const auto value_of = [&](const std::string& bytes) {
    testing::write_text(folder / "key", bytes);
    return import_check_value(folder / "key");
  };
  const std::string first = value_of(std::string(16, 'a'));
  EXPECT_EQ(first.size(), 2 * audit::kImportCheckSize);
  EXPECT_EQ(value_of(std::string(16, 'a')), first);
  EXPECT_NE(value_of(std::string(15, 'a') + "b"), first);
  for (const std::size_t size : {0U, 15U, 17U, 32U})
    EXPECT_ERROR(Malformed, "has " + std::to_string(size) + " bytes: a MEK file has 16, raw",
                 value_of(std::string(size, 'a')));
  EXPECT_ERROR(Io, "none", import_check_value(folder / "none"));
}

TEST(KeyParameters, AreWhatOfficersSee) {
  EXPECT_EQ(request_parameters(site::recorded_mek(mek_history(1, "a#1", 1, "ok"))),
            Json({{"mek", "a#1"}, {"mek_id", recorded_id(1)}}));
  keys::BackupHeader header;
  header.name = "a";
  header.generation = 3;
  header.mek_id = Bytes(16, 1);
  header.appliance_id = "plant-1";
  header.token_serial = "0123";
  header.seal_key = copy(view("seal key"));
  const Json seen = request_parameters(header, std::string(64, 'b'));
  EXPECT_EQ(seen.at("mek"), "a#3");
  EXPECT_EQ(seen.at("mek_id"), recorded_id(1));
  EXPECT_EQ(seen.at("backup_sha256"), std::string(64, 'b'));
  EXPECT_EQ(seen.at("source_appliance"), "plant-1");
  EXPECT_EQ(seen.at("source_serial"), "0123");
  EXPECT_EQ(seen.at("source_seal_key_sha256"), sha256_hex("seal key"));
  EXPECT_EQ(seen.size(), 6U);
}

}  // namespace
}  // namespace qpcseal::mek
