// SPDX-License-Identifier: Apache-2.0
// From reports that are released, every change of their structure and of their claims, signed anew by the
// card's own key, so that the check that is meant is the one that speaks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/release/cbor_tree.h"
#include "tests/release/judged.h"

namespace qpcseal::testing {
namespace {

using Ids = std::set<std::string>;

const std::map<std::string, Ids> kCardIds = {
    {"3", {"ATT-AUD"}},
    {"4", {"ATT-EXP"}},
    {"6", {"ATT-IAT"}},
    {"8", {"ATT-CNF"}},
    {"10", {"ATT-NONCE"}},
    {"256", {"ATT-UEID"}},
    {"258", {"ATT-OEMID"}},
    {"259", {"ATT-HWMODEL"}},
    {"260", {"ATT-HWVERSION"}},
    {"262", {"ATT-OEMBOOT"}},
    {"263", {"ATT-DBGSTAT"}},
    {"265", {"ATT-PROFILE"}},
    {"266", {"ATT-SUBMODS", "POL-SUBMOD-MISSING", "POL-MEASUREMENT-MISSING", "POL-SVN"}},
    {"268", {"ATT-BOOTSEED"}},
    {"273", {"ATT-MEASUREMENTS", "POL-MEASUREMENT-MISSING", "POL-SVN"}},
    {"-75002", {"ATT-LIFECYCLE"}}};

// A card with every claim, also the optional ones.
TestCard full_card() {
  TestCard card;
  auto boot = sample_measurement("boot", 0x11, 4), firmware = sample_measurement("firmware", 0x22, 7);
  boot.version.clear();  // a label; it is the digest that counts, so changing it changes nothing
  firmware.version.clear();
  auto nsp = boot;
  nsp.name = "nsp-firmware";
  card.set(273, cbor_array({encode_measurement(boot), encode_measurement(firmware)}));
  card.set(
      266,
      cbor_map({{cbor_text("nsp"), cbor_map({{cbor_int(263), cbor_int(3)},
                                             {cbor_int(273), cbor_array({encode_measurement(nsp)})}})}}));
  card.set(4, cbor_int(kTestNow + 60));
  card.set(6, cbor_int(kTestNow - 60));
  return card;
}

PolicyFixture full_desk(const TestCard& card) {
  PolicyFixture desk = desk_for(card);
  policy::DeviceClass& device = desk.policy.devices[0];
  device.submods.value = {{"nsp", {{"nsp-firmware", {Bytes(48, 0x11)}, {}, 1, 99}}, 98}};
  return desk;
}

// The order of an array of measurements says nothing; neither does a submodule's own order of listing.
bool is_harmless(const Mutant& mutant) {
  return mutant.kind == Break::Swap && mutant.inside && mutant.top == "273";
}

TEST(Mutation, EveryClaimRemovedDoubledRetypedRenamedAndReordered) {
  const TestCard card = full_card();
  const PolicyFixture desk = full_desk(card);
  ASSERT_TRUE(desk.judge(card.report()).released);
  MutantCounter tally;
  int harmless = 0;
  for_each_mutant(tree_of(cbor_map(card.claims), 273), [&](const Mutant& mutant) {
    Ids expected = kCardIds.at(mutant.top);
    expected.insert("ATT-CBOR");
    if ((mutant.top == "4" || mutant.top == "6") && mutant.kind == Break::Remove) return;  // optional
    if (mutant.top == "266") expected.insert("POL-SUBMOD-EXTRA");
    const Judged judged = desk.judge(card.report_of(mutant.encoded));
    if (judged.released && is_harmless(mutant)) {
      ++harmless;
      return;
    }
    tally.note(judged, expected, mutant.what);
  });
  EXPECT_LE(harmless, 1);  // the two measurements in the other order
  EXPECT_GT(tally.mutants(), 500);
  tally.print("structure of eat-card");
}

TEST(Mutation, EveryHeaderAndLayerOfTheMessage) {
  const TestCard card = full_card();
  const PolicyFixture desk = full_desk(card);
  MutantCounter tally;
  for_each_mutant(tree_of(cbor_map(card.protected_header), 0), [&](const Mutant& mutant) {
    const Bytes report =
        make_sign1({61, 18}, mutant.encoded, cbor_map({}), cbor_map(card.claims), card.leaf.key.get());
    tally.note(desk.judge(report),
               {"ATT-COSE", "ATT-CHAIN", "ATT-CHAIN-ROOT", "ATT-CHAIN-ORDER", "ATT-LEAF-UEID"},
               "header " + mutant.what);
  });
  const Bytes bare = cbor::Writer().encoded(ByteView(card.report()).subspan(3)).take();  // without 61(18(
  for_each_mutant(tree_of(cbor_map({{cbor_int(0), bare}}), -1), [&](const Mutant& mutant) {
    if (!mutant.inside) return;
    cbor::Writer writer;
    writer.tag(61).tag(18).encoded(ByteView(mutant.encoded).subspan(2));
    tally.note(desk.judge(writer.data()), {"ATT-COSE", "ATT-CBOR", "ATT-SIGNATURE"},
               "message " + mutant.what);
  });
  EXPECT_GT(tally.mutants(), 60);
  tally.print("headers and layers");
}

struct Value {
  std::int64_t claim;
  Bytes value;
  Ids expected;
};

std::vector<Value> wrong_values() {
  const auto p384 = make_ec_key("P-384");
  const auto rsa = make_rsa_key(3072);
  std::vector<Value> out = {
      {260, cbor_array({cbor_text("2.2")}), {"POL-HWVERSION"}},
      {262, cbor_bool(false), {"POL-OEMBOOT"}},
      {265, cbor_text("tag:qpcseal.example,2026:eat-card/2"), {"ATT-PROFILE"}},
      {4, cbor_int(kTestNow), {"ATT-EXPIRED"}},
      {4, cbor_int(0), {"ATT-EXPIRED"}},
      {6, cbor_int(kTestNow + 61), {"ATT-IAT"}},
      {8, cbor_map({{cbor_int(1), cbor_map(cose_key(p384.get()))}}), {"POL-SESSION-KEY"}},
      {8, cbor_map({{cbor_int(1), cbor_map(cose_key(rsa.get()))}}), {"POL-SESSION-KEY"}},
      {7, cbor_bytes({}), {"ATT-UNKNOWN-CLAIM"}}};
  for (const std::int64_t dbgstat : {0, 1, 2}) out.push_back({263, cbor_int(dbgstat), {"POL-DBGSTAT"}});
  for (const std::int64_t other : {5, 6, 255}) out.push_back({263, cbor_int(other), {"ATT-DBGSTAT"}});
  for (const std::int64_t state : {0, 1, 3}) out.push_back({-75002, cbor_int(state), {"POL-LIFECYCLE"}});
  out.push_back({-75002, cbor_int(4), {"ATT-LIFECYCLE"}});
  for (unsigned bit = 0; bit < 32; ++bit) {
    const auto oemid = static_cast<std::int64_t>(4242U ^ (std::uint64_t{1} << bit));
    out.push_back({258, cbor_int(oemid), {"POL-OEMID"}});
  }
  return out;
}

// Each bit of a byte string claim, in turn.
void add_flips(std::vector<Value>& out, std::int64_t claim, const Bytes& value, const Ids& expected) {
  for (std::size_t bit = 0; bit < value.size() * 8; ++bit) {
    Bytes flipped = value;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    out.push_back({claim, claim == 3 ? cbor_text(to_hex(flipped)) : cbor_bytes(flipped), expected});
  }
}

TEST(Mutation, EveryClaimWithAnotherValue) {
  const TestCard card = full_card();
  const PolicyFixture desk = full_desk(card);
  std::vector<Value> values = wrong_values();
  add_flips(values, 3, card.aud, {"POL-AUD"});
  add_flips(values, 10, card.nonce, {"POL-CHALLENGE"});
  add_flips(values, 256, card.ueid, {"ATT-LEAF-UEID"});
  add_flips(values, 259, from_hex("c0de"), {"POL-HWMODEL"});
  MutantCounter tally;
  for (const Value& each : values) {
    EncodedMap claims = card.claims;
    claims[cbor_int(each.claim)] = each.value;
    tally.note(desk.judge(card.report_of(cbor_map(claims))), each.expected,
               std::to_string(each.claim) + " is " + to_hex(each.value));
  }
  EXPECT_GT(tally.mutants(), 500);
  tally.print("values of eat-card");
}

TEST(Mutation, EveryMeasurementWithAnotherValue) {
  const TestCard card = full_card();
  const PolicyFixture desk = full_desk(card);
  const auto good = [] {
    std::vector<attest::Measurement> out = {sample_measurement("boot", 0x11, 4),
                                            sample_measurement("firmware", 0x22, 7)};
    return out;
  };
  MutantCounter tally;
  const auto note = [&](const std::vector<attest::Measurement>& list, const Ids& expected,
                        const std::string& what) {
    EncodedMap claims = card.claims;
    std::vector<Bytes> items;
    for (const auto& m : list) items.push_back(encode_measurement(m));
    claims[cbor_int(273)] = cbor_array(items);
    tally.note(desk.judge(card.report_of(cbor_map(claims))), expected, what);
  };
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t bit = 0; bit < 384; ++bit) {
      auto list = good();
      list[i].digest[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      note(list, {"POL-MEASUREMENT-DIGEST"}, list[i].name + " bit " + std::to_string(bit));
    }
    for (std::uint64_t svn = 0; svn < good()[i].svn.value(); ++svn) {
      auto list = good();
      list[i].svn = svn;
      note(list, {"POL-SVN"}, list[i].name + " SVN " + std::to_string(svn));
    }
    auto list = good();
    list[i].name += "2";
    note(list, {"POL-MEASUREMENT-EXTRA"}, "another name");
    list = good();
    list[i].algorithm = attest::DigestAlgorithm::Sha256;
    list[i].digest.resize(32);
    note(list, {"POL-MEASUREMENT-DIGEST"}, "a shorter digest");
  }
  auto list = good();
  list.push_back(sample_measurement("rootkit", 0x66, 1));
  note(list, {"POL-MEASUREMENT-EXTRA"}, "one more");
  std::swap(list[0].digest, list[1].digest);
  note(list, {"POL-MEASUREMENT-DIGEST"}, "digests exchanged");
  EXPECT_GT(tally.mutants(), 750);
  tally.print("measurements of eat-card");
}

const std::map<std::string, Ids> kNitroIds = {
    {"module_id", {"ATT-UEID"}},
    {"digest", {"ATT-MEASUREMENTS"}},
    {"timestamp", {"ATT-IAT"}},
    {"pcrs", {"ATT-MEASUREMENTS", "POL-MEASUREMENT-MISSING", "POL-DBGSTAT", "POL-MEASUREMENT-DIGEST"}},
    {"certificate", {"ATT-CHAIN"}},
    {"cabundle", {"ATT-CHAIN", "ATT-CHAIN-ROOT", "ATT-CHAIN-ORDER"}},
    {"public_key", {"ATT-CNF", "POL-SESSION-KEY"}},
    {"user_data", {"ATT-AUD", "POL-AUD"}},
    {"nonce", {"ATT-NONCE", "POL-CHALLENGE"}}};

TEST(Mutation, EveryFieldOfANitroDocument) {
  TestEnclave enclave;
  const PolicyFixture desk = desk_for(enclave);
  ASSERT_TRUE(desk.judge(enclave.report()).released);
  MutantCounter tally;
  for_each_mutant(tree_of(enclave.document(), 0), [&](const Mutant& mutant) {
    const bool map_order = mutant.kind == Break::Swap && (!mutant.inside || mutant.top == "pcrs");
    if (map_order) return;  // the maker does not sort, and order in a map says nothing
    Ids expected = kNitroIds.at(mutant.top);
    expected.insert({"ATT-CBOR", "ATT-UNKNOWN-CLAIM"});
    // Register 3 is all zero, as if it were not there.
    const Judged judged = desk.judge(enclave.report_of(mutant.encoded));
    if (judged.released && mutant.top == "pcrs" && mutant.kind == Break::Remove) return;
    tally.note(judged, expected, mutant.what);
  });
  const std::vector<std::pair<unsigned, Bytes>> good = {
      {0, Bytes(48, 0x10)}, {1, Bytes(48, 0x11)}, {2, Bytes(48, 0x12)}, {4, Bytes(48, 0x14)}};
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (std::size_t bit = 0; bit < 384; bit += 3) {
      auto pcrs = good;
      pcrs[i].second[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      enclave.set_pcrs(pcrs);
      tally.note(desk.judge(enclave.report()), {"POL-MEASUREMENT-DIGEST"}, "a bit of a register");
    }
  }
  auto debug = good;
  debug[0].second = debug[1].second = debug[2].second = Bytes(48, 0);
  enclave.set_pcrs(debug);
  tally.note(desk.judge(enclave.report()), {"POL-DBGSTAT"}, "debug mode");
  EXPECT_GT(tally.mutants(), 500);
  tally.print("fields of aws-nitro");
}

}  // namespace
}  // namespace qpcseal::testing
