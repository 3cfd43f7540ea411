// SPDX-License-Identifier: Apache-2.0
// One issuer stays one issuer, however its name is written: a list in another spelling resets no floor.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "attest/crl.h"
#include "base/text.h"
#include "tests/attest/test_card.h"
#include "tests/base/finding_ids.h"

namespace qpcseal::attest {
namespace {

using qpcseal::testing::ids;
using qpcseal::testing::make_crl;
using qpcseal::testing::TestCard;
using ::testing::ElementsAre;

using NamePtr = Owned<X509_NAME, X509_NAME_free>;

struct Part {
  int nid;
  int type;
  std::string value;
  int set = 0;  // -1: in the RDN before it
};

NamePtr name_of(const std::vector<Part>& parts) {
  NamePtr out(X509_NAME_new());
  for (const Part& part : parts)
    EXPECT_EQ(X509_NAME_add_entry_by_NID(out.get(), part.nid, part.type, view(part.value).data(),
                                         static_cast<int>(part.value.size()), -1, part.set),
              1)
        << part.nid << " " << part.type << " " << part.value;
  return out;
}

const std::vector<std::vector<Part>> kNames = {
    {{NID_commonName, V_ASN1_UTF8STRING, "Test issuer"}},
    {{NID_commonName, V_ASN1_PRINTABLESTRING, "Test issuer"}},
    {{NID_commonName, V_ASN1_PRINTABLESTRING, "  TEST \t  Issuer "}},
    {{NID_commonName, V_ASN1_BMPSTRING, std::string("\0T\0e\0s\0t\0 \0i\0s\0s\0u\0e\0r", 22)}},
    {{NID_commonName, V_ASN1_UTF8STRING, "Testissuer"}},
    {{NID_commonName, V_ASN1_UTF8STRING, "Test issuer 2"}},
    {{NID_commonName, V_ASN1_UTF8STRING, "T\xc3\xa4st"}},
    {{NID_commonName, V_ASN1_UTF8STRING, "T\xc3\x84st"}},
    {{NID_commonName, V_ASN1_T61STRING, "T\xe4st"}},
    {{NID_organizationName, V_ASN1_UTF8STRING, "Test issuer"}},
    {{NID_organizationName, V_ASN1_UTF8STRING, "a"}, {NID_commonName, V_ASN1_UTF8STRING, "b"}},
    {{NID_commonName, V_ASN1_UTF8STRING, "b"}, {NID_organizationName, V_ASN1_UTF8STRING, "a"}},
    {{NID_organizationName, V_ASN1_UTF8STRING, "A"}, {NID_commonName, V_ASN1_PRINTABLESTRING, "b", -1}},
    {{NID_commonName, V_ASN1_UTF8STRING, "b"}, {NID_organizationName, V_ASN1_UTF8STRING, "a", -1}},
    {{NID_serialNumber, V_ASN1_NUMERICSTRING, "1 2"}},
    {{NID_serialNumber, V_ASN1_NUMERICSTRING, "1  2"}},
    {{NID_serialNumber, V_ASN1_PRINTABLESTRING, "1 2"}},
    {{NID_serialNumber, V_ASN1_PRINTABLESTRING, "1  2"}},
    {{NID_commonName, V_ASN1_UTF8STRING, " "}},
    {},
};

TEST(CanonicalName, IsOneWhereOpenSslSaysSo) {
  int same = 0;
  for (const auto& a : kNames)
    for (const auto& b : kNames) {
      const NamePtr one = name_of(a), two = name_of(b);
      const bool equal = X509_NAME_cmp(one.get(), two.get()) == 0;
      same += equal ? 1 : 0;
      EXPECT_EQ(canonical_name(one.get()) == canonical_name(two.get()), equal)
          << (a.empty() ? "" : a[0].value) << " and " << (b.empty() ? "" : b[0].value);
    }
  EXPECT_GT(same, static_cast<int>(kNames.size()) + 10);
}

// The list with its issuer's UTF8String turned into a PrintableString of other letters.
Bytes respelled(Bytes list) {
  const Bytes from = {0x0C, 11, 'T', 'e', 's', 't'}, to = {0x13, 11, 't', 'E', 'S', 'T'};
  const auto found = std::ranges::search(list, from);
  EXPECT_FALSE(found.empty());
  std::ranges::copy(to, found.begin());
  return list;
}

TEST(CanonicalName, KeepsTheFloorOfAnIssuerInAnotherSpelling) {
  const TestCard card;
  const Bytes old = respelled(make_crl(card.issuer, {.number = 6}));
  const CrlNumbers floors = raised({}, {make_crl(card.issuer, {.number = 7})});
  EXPECT_THAT(ids(check_crl_floors({old}, floors)), ElementsAre("ATT-CRL-ROLLBACK"));
  EXPECT_EQ(raised(floors, {old}), floors);
  EXPECT_EQ(newest({old, make_crl(card.issuer, {.number = 7})}).size(), 1U);
}

}  // namespace
}  // namespace qpcseal::attest
