// SPDX-License-Identifier: Apache-2.0
// An auditor's bundle: the verdict comes out of it as the log has it, and each part that is another one is
// refused.
#include "appliance/verdict/bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "appliance/audit/receipt.h"
#include "appliance/site/archive.h"
#include "tests/base/expect_error.h"
#include "tests/base/finding_ids.h"
#include "tests/release/release_desk.h"

namespace qpcseal::verdict {
namespace {

using audit::Entry;
using encoding::Json;
using qpcseal::testing::HostLog;
using qpcseal::testing::ids;
using qpcseal::testing::ReleaseDesk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Verdicts of each kind, by their entries.
struct Judgements {
  ReleaseDesk desk;
  release::Report good = desk.report("good");
  std::uint64_t released = desk.release({good});
  std::uint64_t denied = 0, beside_denied = 0, unverified = 0;
  release::Report bad;
  std::optional<audit::LogCopy> log;
  trust::Trust trust;

  Judgements() {
    desk.card().set(263, qpcseal::testing::cbor_int(2));  // dbgstat
    denied = desk.release({desk.report()});
    desk.card().set(263, qpcseal::testing::cbor_int(3));
    const release::Report first = desk.report("first");
    desk.become(Bytes(10, 0x77));
    EXPECT_ERROR(Denied, "second is denied: POL-UEID",
                 desk.release({first, desk.report("second")}, ReleaseDesk::Mode::AllOrNone));
    beside_denied = desk.last() - 1;
    bad = desk.report("bad");
    bad.bytes.back() ^= 1;
    bad.digest = sha256(bad.bytes);
    unverified = desk.release({bad});
    log.emplace(desk.copy());
    trust = desk.appliance().trust();
    desk.demo.close();
  }
};

class Bundles : public ::testing::Test {
 protected:
  static Judgements& world() {
    static Judgements one;
    return one;
  }
  static const site::Home& home() { return world().desk.demo.home; }
  static std::string made(std::uint64_t seq) { return make_bundle(home(), *world().log, seq); }
  static Recomputed check(const std::string& text) { return check_bundle(text, world().log->key); }

  using Edit = std::function<void(Json&)>;
  static std::string edited(std::uint64_t seq, const Edit& edit) {
    Json json = encoding::parse_json(made(seq), "bundle");
    edit(json);
    return encoding::canonical(json) + "\n";
  }
  // What the check says of the bundle of this entry once it is edited.
  static Recomputed check_edited(std::uint64_t seq, const Edit& edit) { return check(edited(seq, edit)); }
  static Json proven(std::uint64_t seq) { return audit::proven(*world().log, seq); }
  static Entry entry(std::uint64_t seq) { return audit::parse_entry(world().log->line(seq)); }
  // Of the challenge that a release answered.
  static std::uint64_t challenge_of(std::uint64_t verdict) {
    const Json nonce = entry(entry(verdict).intent.value()).data.at("nonce");
    std::uint64_t out = 0;
    world().log->each([&](std::uint64_t seq, std::string_view line) {
      const Entry one = audit::parse_entry(line);
      if (one.kind == "challenge" && one.data.at("nonce") == nonce) out = seq;
    });
    return out;
  }

  // The same from a log that its own key signs and that says something else: `lie` changes its entries, and
  // `edit` the bundle.
  static Recomputed check_lie(
      std::uint64_t seq, const std::function<void(Entry&)>& lie, const Edit& edit = [](Json&) {}) {
    const qpcseal::testing::TempFolder folder;
    HostLog host(folder / "log");
    std::optional<audit::Log> liar;
    std::map<std::uint64_t, audit::Txn> begun;
    world().log->each(0, seq + 1, [&](std::uint64_t number, std::string_view line) {
      Entry said = audit::parse_entry(line);
      lie(said);
      host.clock.time = said.time;
      if (number == 0) {
        liar.emplace(audit::Log::create(host.settings(), host.signer, qpcseal::testing::kOrigin, said.data));
      } else if (said.phase == audit::Phase::Intent) {
        begun[number] = liar->intent(said.kind, said.data);
      } else if (said.phase == audit::Phase::Wrapped) {
        liar->wrapped({begun.at(*said.intent)}, {said.data});
      } else if (said.phase == audit::Phase::Result) {
        liar->result(begun.at(*said.intent), said.outcome, said.data);
      } else {
        liar->event(said.kind, said.data);
      }
      return true;
    });
    const audit::LogCopy copy = audit::read_log(host.dir, std::nullopt);
    Json json = encoding::parse_json(made(seq), "bundle");
    json["receipt"] = encoding::parse_json(audit::make_receipt(copy, seq), "receipt");
    for (Json& part : json["entries"])
      if (!part.is_null()) part = audit::proven(copy, part.at("index").get<std::uint64_t>());
    edit(json);
    return check_bundle(encoding::canonical(json) + "\n", copy.key);
  }
  static std::function<void(Entry&)> at(std::uint64_t seq, const std::function<void(Json&)>& change) {
    return [seq, change](Entry& said) {
      if (said.seq == seq) change(said.data);
    };
  }
};

TEST_F(Bundles, OfAReleaseGiveTheVerdictAgain) {
  const std::string text = made(world().released);
  EXPECT_TRUE(is_bundle(text));
  const Recomputed again = check(text);
  EXPECT_TRUE(again.allowed);
  EXPECT_EQ(again.device_class, "the-class");
  EXPECT_THAT(again.findings, IsEmpty());
  EXPECT_EQ(again.receipt.entry.seq, world().released);
  EXPECT_EQ(again.policy_serial, 1U);
  EXPECT_EQ(again.time, qpcseal::testing::kTestNow);
  EXPECT_THAT(again.signatures.policy, IsEmpty()) << "nobody signs in a demonstration";
}

TEST_F(Bundles, OfADenialGiveItsFindings) {
  const Recomputed again = check(made(world().denied));
  EXPECT_FALSE(again.allowed);
  EXPECT_EQ(again.device_class, "");
  EXPECT_THAT(ids(again.findings), ElementsAre("POL-DBGSTAT"));
}

TEST_F(Bundles, SayWhereAReportWasDeniedForAnothersSake) {
  const Recomputed again = check(made(world().beside_denied));
  EXPECT_EQ(again.receipt.entry.outcome, "denied");
  EXPECT_TRUE(again.allowed);
  EXPECT_THAT(again.findings, IsEmpty());
}

TEST_F(Bundles, OfAReportThatDoesNotVerifyGiveItsFindings) {
  const Recomputed again = check(made(world().unverified));
  EXPECT_FALSE(again.allowed);
  EXPECT_THAT(ids(again.findings), ElementsAre("ATT-SIGNATURE"));
  const Json json = encoding::parse_json(made(world().unverified), "bundle");
  EXPECT_TRUE(json.at("entries").at("intent").is_null());
}

TEST_F(Bundles, AreOfVerdictsAlone) {
  const std::uint64_t challenge = challenge_of(world().released);
  EXPECT_ERROR(Usage, "entry " + std::to_string(challenge) + " is no verdict on a report", made(challenge));
  EXPECT_ERROR(Usage, "is no verdict on a report", made(*entry(world().released).intent));
  EXPECT_ERROR(
      LogDamaged, "its entry is no verdict on a report", check_edited(world().released, [&](Json& json) {
        json["receipt"] = encoding::parse_json(audit::make_receipt(*world().log, challenge), "receipt");
      }));
}

TEST_F(Bundles, AreNotMadeWhereAPartWasNotKept) {
  const std::filesystem::path kept = home().reports() / (to_hex(world().good.digest) + ".report"),
                              aside = home().root / "aside";
  std::filesystem::rename(kept, aside);
  EXPECT_ERROR(Io, kept.filename().string(), made(world().released));
  std::filesystem::rename(aside, kept);
  EXPECT_NO_THROW(made(world().released));
}

TEST_F(Bundles, HaveOneForm) {
  const std::string text = made(world().released);
  EXPECT_NO_THROW(check(text.substr(0, text.size() - 1))) << "without the line feed";
  EXPECT_ERROR(Malformed, "bundle", check(text + "\n"));
  EXPECT_ERROR(Malformed, "bundle", check(" " + text));
  EXPECT_ERROR(Malformed, "bundle", check(""));
  const auto with = [&](const char* key, const Json& value) {
    return check_edited(world().released, [&](Json& json) { json[key] = value; });
  };
  EXPECT_ERROR(Malformed, "not a bundle of this program", with("type", "qpcseal-receipt"));
  EXPECT_ERROR(Malformed, "not a bundle of this program", with("v", 2U));
  EXPECT_ERROR(Malformed, "bundle", with("more", 1U));
  EXPECT_ERROR(Malformed, "bundle",
               check_edited(world().released, [](Json& json) { json["entries"]["more"] = nullptr; }));
  EXPECT_ERROR(Malformed, "bundle",
               check_edited(world().released, [](Json& json) { json["files"].erase("trust"); }));
  EXPECT_FALSE(is_bundle("{\"type\":\"qpcseal-receipt\"}"));
  EXPECT_FALSE(is_bundle(""));
}

TEST_F(Bundles, AreCheckedByTheLogsKey) {
  const HostLog stranger(home().root / "no log");
  EXPECT_ERROR(LogDamaged, "not signed by",
               check_bundle(made(world().released), stranger.signer.verifier(world().log->key.name())));
}

TEST_F(Bundles, HoldTheFilesThatTheLogNames) {
  const auto with = [](const char* file, std::string_view text) {
    return check_edited(world().released, [&](Json& json) { json["files"][file] = to_base64(view(text)); });
  };
  EXPECT_ERROR(LogDamaged,
               "the report is not the one that the log names: found " + sha256_hex("another") + ", logged " +
                   to_hex(world().good.digest),
               with("report", "another"));
  const std::string policy = world().desk.demo.environment().home.policy().string();
  EXPECT_ERROR(LogDamaged, "the policy is not the one that the log names",
               with("policy", read_text_file(policy, policy::kMaxPolicySize) + "# more\n"));
  trust::Trust trust = world().trust;
  trust.roots[0].name = "other.der";
  EXPECT_ERROR(LogDamaged, "the trust material is not the one that the log names",
               with("trust", site::encode_trust(trust)));
}

TEST_F(Bundles, HoldTheEntriesOfTheirRelease) {
  const auto with = [](std::uint64_t verdict, const char* name, const Json& part) {
    return check_edited(verdict, [&](Json& json) { json["entries"][name] = part; });
  };
  const std::uint64_t released = world().released, denied = world().denied;
  const std::uint64_t intent = *entry(released).intent;
  EXPECT_ERROR(LogDamaged, "its first entry is not the log's", with(released, "genesis", proven(1)));
  EXPECT_ERROR(LogDamaged, "its intent is another's, or is not there", with(released, "intent", nullptr));
  EXPECT_ERROR(LogDamaged, "its intent is another's, or is not there",
               with(released, "intent", proven(*entry(denied).intent)));
  EXPECT_ERROR(LogDamaged, "its challenge is another's",
               with(released, "challenge", proven(challenge_of(denied))));
  EXPECT_ERROR(LogDamaged, "its challenge is another's", with(released, "challenge", proven(intent)))
      << "the nonce is its own, the entry no challenge";
  EXPECT_ERROR(LogDamaged, "the log knew the challenge, and it is not there",
               with(released, "challenge", nullptr));
  EXPECT_ERROR(LogDamaged, "an intent of a report that did not verify",
               with(world().unverified, "intent", proven(intent)));
  EXPECT_ERROR(LogDamaged, "an intent of a report that did not verify",
               with(world().unverified, "challenge", proven(challenge_of(released))));
}

TEST_F(Bundles, HoldEntriesAsTheLogHasThem) {
  EXPECT_ERROR(LogDamaged, "is not in the log", check_edited(world().released, [](Json& json) {
                 std::string line = json["entries"]["intent"]["entry"];
                 line.replace(line.find("resnet50"), 8, "resnet51");
                 json["entries"]["intent"]["entry"] = line;
               }));
}

TEST_F(Bundles, OfALogThatIsTrueHoldUnderAnotherKeyToo) {
  EXPECT_TRUE(check_lie(world().released, [](Entry&) {}).allowed);
  EXPECT_FALSE(check_lie(world().unverified, [](Entry&) {}).allowed);
}

TEST_F(Bundles, FindWhatTheLogSaysOtherwise) {
  const std::uint64_t released = world().released;
  const auto verdict = [&](const std::function<void(Json&)>& change) {
    return check_lie(released, at(released, change));
  };
  EXPECT_ERROR(LogDamaged, "'device_class' of the verdict comes out otherwise than the log says",
               verdict([](Json& data) { data["device_class"] = "another"; }));
  EXPECT_ERROR(LogDamaged, "'suite' of the verdict comes out otherwise",
               verdict([](Json& data) { data.erase("suite"); }));
  EXPECT_ERROR(LogDamaged, "'findings' of the verdict comes out otherwise",
               check_lie(world().denied,
                         at(world().denied, [](Json& data) { data["findings"][0]["observed"] = "1"; })));
  EXPECT_ERROR(LogDamaged, "'findings' of the verdict comes out otherwise",
               check_lie(world().unverified,
                         at(world().unverified, [](Json& data) { data["findings"][0]["id"] = "ATT-COSE"; })));
}

TEST_F(Bundles, FindAReleaseThatWasNoneByThePolicy) {
  try {
    check_lie(world().released, at(world().released, [](Json& data) { data["judged"]["releases"] = 1000U; }));
    FAIL() << "held";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::LogDamaged);
    EXPECT_STREQ(error.what(), "bundle: the log says released, and the verdict comes out denied");
    EXPECT_THAT(ids(error.findings()), ElementsAre("POL-RELEASES"));
  }
}

TEST_F(Bundles, FindReportsThatVerifyOtherwiseThanTheLogSays) {
  const auto with_report = [](const release::Report& report) {
    return [&report](Json& json) { json["files"]["report"] = to_base64(report.bytes); };
  };
  const auto named = [](const release::Report& was, const release::Report& is) {
    return [&](Entry& said) {
      if (said.data.value("report_sha256", "") == to_hex(was.digest))
        said.data["report_sha256"] = to_hex(is.digest);
    };
  };
  EXPECT_ERROR(LogDamaged, "whether the report verifies comes out otherwise than the log says",
               check_lie(world().unverified, named(world().bad, world().good), with_report(world().good)));
  EXPECT_ERROR(LogDamaged, "whether the report verifies comes out otherwise than the log says",
               check_lie(world().released, named(world().good, world().bad), with_report(world().bad)));
}

TEST_F(Bundles, HaveNoSignaturesWhereNobodySigns) {
  EXPECT_ERROR(LogDamaged, "signatures of the trust material, which nobody signed",
               check_edited(world().released, [](Json& json) {
                 json["signed"]["trust"]["signatures"] = Json::array({"a signature"});
               }));
  EXPECT_ERROR(LogDamaged, "signatures of the policy, which nobody signed",
               check_edited(world().released, [](Json& json) {
                 json["signed"]["policies"][0]["signatures"] = Json::array({"a signature"});
               }));
  EXPECT_ERROR(
      LogDamaged, "whether officers agreed is not as the policy asks",
      check_edited(world().released, [](Json& json) { json["signed"]["release"] = Json::object(); }));
}

TEST_F(Bundles, ListSignaturesAsTexts) {
  const auto with = [](const Json& signatures) {
    return check_edited(world().released,
                        [&](Json& json) { json["signed"]["trust"]["signatures"] = signatures; });
  };
  EXPECT_ERROR(Malformed, "'signatures' is not a list", with("a signature"));
  EXPECT_ERROR(Malformed, "'signatures' is not a list", with(Json(std::vector<std::string>(257, "s"))));
  EXPECT_ERROR(LogDamaged, "which nobody signed", with(Json(std::vector<std::string>(256, "s"))));
  EXPECT_ERROR(Malformed, "not a text", with(Json::array({1U})));
}

}  // namespace
}  // namespace qpcseal::verdict
