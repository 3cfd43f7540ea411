// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "device/card/answer.h"
#include "device/card/card.h"
#include "tests/base/finding_ids.h"
#include "tests/device/support.h"

namespace qpcseal::device {
namespace {

using qpcseal::testing::Cards;
using qpcseal::testing::ids;
using qpcseal::testing::make_request;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Bytes ask(const Cards& cards, const attest::Request& request, std::optional<Fault> fault = std::nullopt,
          unsigned number = 0) {
  return answer(cards.dir, number, request, SystemClock(), fault);
}

attest::Evidence verify(const Cards& cards, ByteView report) {
  return attest::make_eat_card_scheme()->verify(report, cards.context());
}

ErrorKind kind_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::Internal;
}

class KeyTypes : public ::testing::TestWithParam<attest::SessionKeyType> {};

TEST_P(KeyTypes, EvidenceVerifiesAndIsAboutTheRequest) {
  ProvisionOptions options;
  options.session_key = GetParam();
  const Cards cards(options);
  const attest::Request request = make_request();
  const attest::Evidence evidence = verify(cards, ask(cards, request));
  ASSERT_THAT(ids(evidence.findings), IsEmpty());
  ASSERT_TRUE(evidence.claims.has_value());
  const Card card = open_card(cards.dir, 0);
  EXPECT_EQ(evidence.claims->aud, request.aud);
  EXPECT_EQ(evidence.claims->nonce, request.nonce);
  EXPECT_EQ(evidence.claims->ueid, card.ueid);
  EXPECT_EQ(evidence.claims->session_key, card.session_public);
  EXPECT_EQ(card.session_public.type, GetParam());
  EXPECT_EQ(evidence.claims->dbgstat, 3U);
  EXPECT_EQ(attest::lifecycle_name(evidence.claims->lifecycle.value()), "secured");
  EXPECT_EQ(evidence.claims->measurements.size(), 3U);
}

INSTANTIATE_TEST_SUITE_P(All, KeyTypes,
                         ::testing::Values(attest::SessionKeyType::P256, attest::SessionKeyType::P384,
                                           attest::SessionKeyType::Rsa),
                         [](const auto& each) { return std::string(attest::to_string(each.param)); });

TEST(Evidence, DebugAndLifecycleAreReported) {
  ProvisionOptions options;
  options.debug = true;
  options.lifecycle = 1;
  const Cards cards(options);
  const attest::Evidence evidence = verify(cards, ask(cards, make_request()));
  ASSERT_TRUE(evidence.claims.has_value());
  EXPECT_EQ(evidence.claims->dbgstat, 0U);
  EXPECT_EQ(attest::lifecycle_name(evidence.claims->lifecycle.value()), "development");
}

TEST(Evidence, CardsAreTheirOwn) {
  ProvisionOptions options;
  options.cards = 2;
  const Cards cards(options);
  const attest::Request request = make_request();
  const attest::Evidence first = verify(cards, ask(cards, request));
  const attest::Evidence second = verify(cards, ask(cards, request, std::nullopt, 1));
  ASSERT_TRUE(first.claims && second.claims);
  EXPECT_NE(first.claims->ueid, second.claims->ueid);
  EXPECT_NE(first.claims->session_key, second.claims->session_key);
  EXPECT_NE(first.claims->bootseed, second.claims->bootseed);
  EXPECT_EQ(first.root, second.root);
}

TEST(Answer, RemembersEachNonceOnce) {
  const Cards cards;
  EXPECT_THAT(open_card(cards.dir, 0).answered_nonces, IsEmpty());
  const attest::Request first = make_request(), second = make_request();
  for (const attest::Request* request : {&first, &second, &first}) static_cast<void>(ask(cards, *request));
  EXPECT_THAT(open_card(cards.dir, 0).answered_nonces, ElementsAre(first.nonce, second.nonce));
}

TEST(Answer, ForgetsTheOldestNonceBeyondTheLimit) {
  const Cards cards;
  std::vector<Bytes> nonces;
  for (std::size_t i = 0; i <= kMaxAnswered; ++i) {
    Bytes nonce(kNonceSize, 0);
    nonce[0] = static_cast<std::uint8_t>(i >> 8U);
    nonce[1] = static_cast<std::uint8_t>(i & 0xffU);
    remember_nonce(cards.dir, 0, nonce);
    nonces.push_back(nonce);
  }
  const Card card = open_card(cards.dir, 0);
  EXPECT_EQ(card.answered_nonces.size(), kMaxAnswered);
  EXPECT_EQ(card.answered_nonces.front(), nonces[1]);
  EXPECT_EQ(card.answered_nonces.back(), nonces.back());
}

TEST(Answer, RefusesWhatIsNoRequest) {
  const auto kind_for = [](const Bytes& bytes) {
    return kind_of([&] { static_cast<void>(parse_question(bytes)); });
  };
  EXPECT_EQ(kind_for({}), ErrorKind::Malformed);
  EXPECT_EQ(kind_for(copy(view("anycontent"))), ErrorKind::Malformed);
  EXPECT_EQ(kind_for(Bytes(kMaxRequest + 1, 0)), ErrorKind::Malformed);
  const attest::Request good = make_request();
  Bytes longer = attest::encode_request(good);
  EXPECT_EQ(parse_question(longer), good);
  longer.push_back(0);
  EXPECT_EQ(kind_for(longer), ErrorKind::Malformed);
}

TEST(Answer, RefusesRequestsThatAreNotForThisCardNow) {
  const Cards cards;
  attest::Request expired = make_request();
  expired.expiry = qpcseal::testing::now();
  attest::Request other = make_request();
  other.ueid = Bytes(17, 0x01);
  attest::Request rsa = make_request();
  rsa.key_types = {attest::SessionKeyType::Rsa};
  for (const attest::Request& request : {expired, other, rsa})
    EXPECT_EQ(kind_of([&] { static_cast<void>(ask(cards, request)); }), ErrorKind::Denied);
  EXPECT_THAT(open_card(cards.dir, 0).answered_nonces, IsEmpty());
  attest::Request mine = make_request();
  mine.ueid = open_card(cards.dir, 0).ueid;
  EXPECT_NO_THROW(static_cast<void>(ask(cards, mine)));
}

TEST(Answer, NeedsACard) {
  const Cards cards;
  EXPECT_EQ(kind_of([&] { static_cast<void>(ask(cards, make_request(), std::nullopt, 7)); }), ErrorKind::Io);
}

TEST(Reset, ForgetsKeyBootseedAndNonces) {
  const Cards cards;
  static_cast<void>(ask(cards, make_request()));
  const Card before = open_card(cards.dir, 0);
  const Bytes bootseed = read_boot(cards.dir, 0).bootseed;
  reset_card(cards.dir, 0);
  const Card after = open_card(cards.dir, 0);
  EXPECT_EQ(after.ueid, before.ueid);
  EXPECT_NE(after.session_public, before.session_public);
  EXPECT_NE(read_boot(cards.dir, 0).bootseed, bootseed);
  EXPECT_THAT(after.answered_nonces, IsEmpty());
  EXPECT_TRUE(verify(cards, ask(cards, make_request())).claims.has_value());
}

TEST(Reset, ClearsUpAfterAnInterruptedOne) {
  const Cards cards;
  std::filesystem::create_directory(card_folder(cards.dir, 0) / "boot.next");
  EXPECT_NO_THROW(reset_card(cards.dir, 0));
  EXPECT_FALSE(std::filesystem::exists(card_folder(cards.dir, 0) / "boot.next"));
}

struct FaultCase {
  const char* name;
  const char* finding;  // of the scheme
};

TEST(Faults, AreFoundByTheSchemeForTheirOwnReason) {
  const Cards cards;
  for (const FaultCase& each : {FaultCase{"off-curve-key", "ATT-CNF"}, FaultCase{"weak-rsa", "ATT-CNF"},
                                FaultCase{"unknown-root", "ATT-CHAIN-ROOT"}}) {
    SCOPED_TRACE(each.name);
    const attest::Evidence evidence = verify(cards, ask(cards, make_request(), parse_fault(each.name)));
    EXPECT_FALSE(evidence.claims.has_value());
    EXPECT_THAT(ids(evidence.findings), Contains(each.finding));
  }
}

TEST(Faults, ThatOnlyThePolicyCanFindAreInTheClaims) {
  const Cards cards;
  const attest::Request request = make_request();
  const auto claims = [&](const char* name) {
    const attest::Evidence evidence = verify(cards, ask(cards, request, parse_fault(name)));
    EXPECT_THAT(ids(evidence.findings), IsEmpty()) << name;
    return evidence.claims.value();
  };
  EXPECT_NE(claims("bad-nonce").nonce, request.nonce);
  EXPECT_NE(claims("wrong-aud").aud, request.aud);
  EXPECT_EQ(claims("debug").dbgstat, 0U);
  EXPECT_EQ(claims("missing-measurement").measurements.size(), 2U);
  EXPECT_EQ(claims("extra-measurement").measurements.size(), 4U);
}

TEST(Faults, AllHaveNames) {
  EXPECT_EQ(fault_names().size(), 8U);
  for (const std::string_view name : fault_names()) EXPECT_TRUE(parse_fault(name).has_value());
  EXPECT_FALSE(parse_fault("").has_value());
  EXPECT_FALSE(parse_fault("other").has_value());
}

}  // namespace
}  // namespace qpcseal::device
