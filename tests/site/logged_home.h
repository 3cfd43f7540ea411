// SPDX-License-Identifier: Apache-2.0
// A home on disk with a log that names its policy, officers and trust, and no token: the log's key is
// OpenSSL's.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "appliance/audit/read.h"
#include "appliance/site/home.h"
#include "appliance/trust/trust_folder.h"
#include "base/file.h"
#include "tests/attest/test_card.h"
#include "tests/audit/host_log.h"
#include "tests/base/temp_folder.h"
#include "tests/policy/sample.h"
#include "tests/support/officer_key.h"

namespace qpcseal::testing {

struct LoggedHome {
  static constexpr const char* kAllNamespaces =
      "approval@qpcseal,officers@qpcseal,policy@qpcseal,collateral@qpcseal";
  // `with_officers` false: a demonstration without. `policy`: in force.
  explicit LoggedHome(bool with_officers = true, std::string policy = sample_policy_text())
      : policy_text(std::move(policy)) {
    std::filesystem::create_directory(home.root);
    for (const auto& dir : {home.trust(), home.approvals(), home.reports(), home.witness()}) make_folder(dir);
    write_text(home.policy(), policy_text);
    write_file(home.trust() / "root.der", card().root.der(), Existing::Refuse, 0600);
    if (with_officers) write_text(home.officers(), officers_text);
    encoding::Json genesis = genesis_data();
    genesis["policy"] = {{"digest", sha256_hex(policy_text)}, {"serial", 7}};
    genesis["trust"] = to_hex(trust::read_trust(home.trust()).digest);
    if (with_officers) genesis["officers"] = sha256_hex(officers_text);
    genesis["insecure_demo"] = !with_officers;
    genesis["appliance_id"] = "plant-1";
    genesis["aud"] = std::string(32, '5');
    genesis["seal_key"] = to_base64(view("seal key"));
    genesis["token"] = {
        {"label", "the token"}, {"serial", "0123"}, {"model", "HSM 9"}, {"manufacturer", "Maker"}};
    log.emplace(audit::Log::create(host.settings(), host.signer, kOrigin, std::move(genesis)));
  }
  LoggedHome(const LoggedHome&) = delete;
  LoggedHome& operator=(const LoggedHome&) = delete;

  [[nodiscard]] audit::LogCopy copy() const {
    return audit::read_log(home.log(), host.signer.verifier(kOrigin));
  }
  void accept_genesis() {
    log->event("genesis-accepted",
               {{"text_sha256", std::string(64, '3')}, {"approvers", encoding::Json::array()}});
  }
  // Making keys takes a while: one card for all tests.
  static const TestCard& card() {
    static const TestCard one;
    return one;
  }

  TempFolder folder;
  site::Home home{folder.path() / "home"};
  OfficerKey anna{"anna"}, bela{"bela"};
  std::string policy_text;
  std::string officers_text = anna.line(kAllNamespaces) + bela.line(kAllNamespaces);
  HostLog host{home.log()};
  std::optional<audit::Log> log;
};

// A witness (C2SP tlog-cosignature) with a key of its own.
class TestWitness {
 public:
  explicit TestWitness(std::string name = "witness.test/w1") : name_(std::move(name)) {}
  [[nodiscard]] std::string id() const {
    Bytes input;
    append(input, name_ + "\n\x04");
    append(input, signer_.public_key());
    return to_hex(ByteView(sha256(input)).first(4));
  }
  [[nodiscard]] std::string vkey() const {
    Bytes blob{4};
    append(blob, signer_.public_key());
    return name_ + "+" + id() + "+" + to_base64(blob);
  }
  [[nodiscard]] std::string cosign(const std::string& note, UnixTime time) {
    const std::string text = note.substr(0, note.find("\n\n") + 1);
    Bytes blob = from_hex(id());
    append_be(blob, static_cast<std::uint64_t>(time), 8);
    append(blob, signer_.sign(view("cosignature/v1\ntime " + std::to_string(time) + "\n" + text)));
    return note + "\xE2\x80\x94 " + name_ + " " + to_base64(blob) + "\n";
  }

 private:
  std::string name_;
  HostSigner signer_{tlog::KeyType::Ed25519};
};

}  // namespace qpcseal::testing
