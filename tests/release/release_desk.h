// SPDX-License-Identifier: Apache-2.0
// A demonstration that releases a key to cards, and what its log then holds of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "appliance/audit/read.h"
#include "appliance/mek/generate.h"
#include "appliance/release/challenge.h"
#include "appliance/release/transaction.h"
#include "tests/support/appliance_fixture.h"

namespace qpcseal::testing {

class ReleaseDesk {
 public:
  using Mode = release::Transaction::Mode;

  // `edit`: makes another policy of the demonstration's, as DemoAppliance has it.
  explicit ReleaseDesk(const std::function<std::string(std::string)>& edit = more_releases)
      : demo(edit), mek(mek::generate(appliance(), "resnet50")) {}

  // As much as all tests together need.
  static std::string more_releases(std::string policy) {
    for (const std::string limit : {"max_releases_per_card = 5", "max_releases = 10"})
      policy.insert(policy.find(limit) + limit.size(), "00");
    return policy;
  }

  site::Appliance& appliance() { return demo.open(); }
  TestCard& card() { return demo.card; }
  // From now on it is another card of the same maker.
  void become(const Bytes& ueid) {
    card().ueid = ueid;
    card().leaf = make_identity(card().leaf_spec(), make_ec_key("P-384"), &card().issuer);
    card().set_chain({card().leaf.der(), card().issuer.der()});
    card().set(256, cbor_bytes(ueid));
  }
  // The card's answer to a new challenge.
  release::Report report(const std::string& name = "report") {
    const attest::Request request = release::make_requests(appliance(), mek, {{}}).at(0);
    card().set(3, cbor_text(to_hex(request.aud)));
    card().set(10, cbor_bytes(request.nonce));
    const Bytes bytes = card().report();
    return {name, bytes, sha256(bytes)};
  }
  // The number of the log's last entry behind it.
  std::uint64_t release(const std::vector<release::Report>& reports, Mode mode = Mode::Each) {
    release::Transaction transaction(appliance(), mek, reports,
                                     {appliance(), mek, release::digests_of(reports)}, mode);
    const std::size_t grants = transaction.wrap().size();
    if (grants > 0) transaction.commit(std::vector<encoding::Json>(grants, encoding::Json::object()));
    return last();
  }
  std::uint64_t last() { return appliance().log().state().size - 1; }
  [[nodiscard]] audit::LogCopy copy() const { return audit::read_log(demo.home.log(), std::nullopt); }

  DemoAppliance demo;
  keys::Mek mek;
};

}  // namespace qpcseal::testing
