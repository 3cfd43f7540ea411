// SPDX-License-Identifier: Apache-2.0
// Ceremonies of an appliance with officers: who signs, who rejects, and the rehearsal that comes before.
#include "appliance/ceremony/rehearsal.h"
#include "tests/ceremony/ceremony_fixture.h"
#include "tests/support/officer_key.h"

namespace qpcseal::ceremony {
namespace {

using encoding::Json;
using qpcseal::testing::ScriptedConsole;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A second home with officers, in the world of a demonstration without.
class SignedCeremony : public ::testing::Test {
 protected:
  testing::DemoAppliance world;
  testing::OfficerKey anna{"anna"}, bela{"bela"};
  site::Home home{world.folder / "second"};
  std::optional<site::Appliance> second;
  CeremonyInputs inputs;
  ScriptedConsole console;

  void SetUp() override {
    testing::write_text(world.folder / "officers", line(anna) + line(bela));
    site::InitOptions options = world.init_options();
    options.officers = world.folder / "officers";
    site::init(environment(), options);
    std::filesystem::create_directory(world.folder / "work");
    inputs.dir = world.folder / "work";
    open();
    inputs.plan = parse_plan(plan_text("false"), "plan");
  }

  static std::string line(const testing::OfficerKey& officer) {
    return officer.line("approval@qpcseal,officers@qpcseal,policy@qpcseal,collateral@qpcseal,plan@qpcseal");
  }
  [[nodiscard]] site::Environment environment() {
    site::Environment out = world.environment();
    out.home = home;
    return out;
  }
  site::Appliance& open() {
    if (!second) second.emplace(environment());
    return *second;
  }
  [[nodiscard]] std::string plan_text(const std::string& rehearsed) {
    return "format = \"qpcseal/plan/1\"\nceremony = \"signed\"\ntitle = \"A first key\"\n"
           "appliance = \"plant-1\"\naud = \"" +
           encoding::text_member(open().log().state().genesis, "aud") +
           "\"\nvalid_until = \"2027-01-16T08:00:00Z\"\nthreshold = 2\nrehearsed = " + rehearsed +
           "\n[token]\nmanufacturer = \"SoftHSM project\"\nmodel = \"SoftHSM v2\"\nsigning = \"ed25519\"\n"
           "suites = [2]\nlacking = []\nanchor = true\n"
           "[[person]]\nname = \"Anna Adler\"\nrole = \"leader\"\nofficer = \"anna\"\n"
           "[[person]]\nname = \"Bela Balog\"\nrole = \"officer\"\nofficer = \"bela\"\n"
           "[[step]]\nid = \"make\"\ndo = \"mek-generate\"\nmek = \"net\"\nwho = \"Anna Adler\"\n"
           "see = \"the label\"\n";
  }
  std::filesystem::path put(const std::string& name, const std::string& text) {
    testing::write_text(world.folder / name, text);
    return world.folder / name;
  }
  std::filesystem::path signed_by(const testing::OfficerKey& officer) {
    return put(officer.name() + ".sig", officer.sign(inputs.plan.text, "plan@qpcseal"));
  }
  std::filesystem::path rejected_by(const testing::OfficerKey& officer) {
    return put(officer.name() + ".no",
               officer.sign(approval::rejection_text(inputs.plan.text), "plan@qpcseal"));
  }
  void sign() { inputs.signatures = {signed_by(anna), signed_by(bela)}; }
  CeremonyResult run() { return ceremony::run(open(), inputs, console); }
  // As far as the prompt with this number.
  void run_until(std::size_t prompt) {
    console.ends_at = prompt;
    EXPECT_ERROR(Usage, "the input ended", run());
    console = {};
  }
  CeremonyResult go_on() { return resume(open(), inputs, console); }
  void expect_refused(ErrorKind kind, const std::string& why) {
    const std::uint64_t before = open().log().state().size;
    EXPECT_TRUE(testing::throws_error(kind, why, [&] { look_at_run(open().outlook(), inputs); }));
    EXPECT_TRUE(testing::throws_error(kind, why, [&] { run(); }));
    EXPECT_EQ(open().log().state().size, before);
    EXPECT_EQ(console.prompts, 0U);
  }
  [[nodiscard]] audit::Entry last_entry() {
    return audit::parse_entry(audit::read_log(home.log(), std::nullopt).line(open().log().state().size - 1));
  }
  [[nodiscard]] bool kept(const std::string& text, const std::string& extension) const {
    return std::filesystem::exists(home.approvals() / (sha256_hex(text) + extension));
  }
};

TEST_F(SignedCeremony, BeginsWithAsManyAsThePlanWants) {
  expect_refused(ErrorKind::ApprovalsMissing, "the plan wants 2 officers, 0 signed it so that it counts");
  inputs.signatures = {signed_by(anna), signed_by(anna)};
  expect_refused(ErrorKind::ApprovalsMissing, "the plan wants 2 officers, 1 signed it so that it counts");
  sign();
  const CeremonyResult done = run();
  EXPECT_THAT(console.screen, HasSubstr("signed by anna, SHA256:"));
  EXPECT_THAT(console.screen, HasSubstr("signed by bela, SHA256:"));
  const Json record = encoding::parse_json(done.record, "record");
  ASSERT_EQ(record.at("approvers").size(), 2U);
  EXPECT_EQ(record.at("steps").at(0).at("attempts").at(0).at("acts").at(0).at("outcome"), "ok");
  EXPECT_TRUE(kept(inputs.plan.text, ".plan"));
  for (const auto& file : inputs.signatures) EXPECT_TRUE(kept(testing::read_text(file), ".sig")) << file;
}

TEST_F(SignedCeremony, ThatIsRejectedNeverBegins) {
  inputs.signatures = {signed_by(anna), rejected_by(bela), signed_by(bela)};
  const std::uint64_t before = open().log().state().size;
  EXPECT_NO_THROW(look_at_run(open().outlook(), inputs)) << "the run records it";
  EXPECT_EQ(open().log().state().size, before);
  EXPECT_ERROR(ApprovalsMissing, "the plan was rejected by bela", run());
  EXPECT_EQ(console.prompts, 0U);
  EXPECT_EQ(open().log().state().size, before + 1);
  EXPECT_EQ(last_entry().kind, "rejection");
  EXPECT_EQ(last_entry().data.at("operation"), "ceremony");
  EXPECT_EQ(last_entry().data.at("nonce"), inputs.plan.sha256);
  EXPECT_EQ(last_entry().data.at("title"), "A first key");
  EXPECT_EQ(last_entry().data.at("rejecters").at(0).at("name"), "bela");
  EXPECT_TRUE(kept(inputs.plan.text, ".plan"));
  EXPECT_TRUE(kept(testing::read_text(inputs.signatures[1]), ".sig"));
  EXPECT_FALSE(kept(testing::read_text(inputs.signatures[0]), ".sig")) << "that of nobody who rejected it";
  sign();
  expect_refused(ErrorKind::ApprovalsMissing, "this plan was rejected");
}

TEST_F(SignedCeremony, GoesOnWhileItsSignersCount) {
  sign();
  run_until(2);
  inputs.signatures.clear();
  const auto set_officers = [&](const std::string& text) {
    testing::write_text(home.officers(), text);
    audit::Log& log = open().log();
    log.result(log.intent("officers", {{"digest", sha256_hex(text)}}), "ok", Json::object());
  };
  set_officers(line(anna));
  const std::uint64_t before = open().log().state().size;
  const std::string why = "of those who signed it 1 count still, and no longer bela";
  EXPECT_ERROR(ApprovalsMissing, why, go_on());
  EXPECT_ERROR(ApprovalsMissing, why, look_at_resume(open().outlook(), inputs));
  EXPECT_EQ(open().log().state().size, before);
  set_officers(line(anna) + line(bela));
  EXPECT_NO_THROW(go_on()) << "by the signatures that it began with";
}

TEST_F(SignedCeremony, IsNotRehearsedOnceOfficersAcceptedTheAppliance) {
  open().log().event("genesis-accepted",
                     {{"text_sha256", std::string(64, '3')}, {"approvers", Json::array()}});
  const std::uint64_t before = open().log().state().size;
  EXPECT_ERROR(Denied, "a rehearsal makes and destroys keys without asking anybody",
               rehearse(open(), inputs, console, {}));
  EXPECT_EQ(open().log().state().size, before);
}

class RehearsedCeremony : public SignedCeremony {
 protected:
  std::string record;

  // In the first home, which is thrown away.
  void SetUp() override {
    SignedCeremony::SetUp();
    inputs.plan = parse_plan(plan_text("true"), "plan");
    sign();
    second.reset();
    record = rehearse(world.open(), inputs, console, {}).record;
    world.close();
    console = {};
    inputs.rehearsal = put("record.json", record);
    open();
  }
};

TEST_F(RehearsedCeremony, IsComparedWithItsRehearsal) {
  const CeremonyResult done = run();
  EXPECT_THAT(done.differences, IsEmpty());
  const Json made = encoding::parse_json(done.record, "record");
  EXPECT_EQ(made.at("rehearsal_sha256"), sha256_hex(record));
  EXPECT_EQ(made.at("comparison"), Json::array());
  EXPECT_TRUE(kept(record, kRehearsalExtension));
}

TEST_F(RehearsedCeremony, NamesWhatWasDifferent) {
  Json other = encoding::parse_json(record, "record");
  other["environment"]["os"] = "another system";
  inputs.rehearsal = put("record.json", encoding::canonical(other));
  const CeremonyResult done = run();
  ASSERT_EQ(done.differences.size(), 1U);
  EXPECT_THAT(done.differences[0], HasSubstr("The operating system: 'another system' in the rehearsal, "));
  const CeremonyResult again = report(audit::read_log(home.log(), std::nullopt), inputs.plan);
  EXPECT_EQ(again.differences, done.differences) << "the log has them";
  EXPECT_EQ(again.record, done.record);
}

TEST_F(RehearsedCeremony, GoesOnWithTheOneThatItBeganWith) {
  run_until(2);
  const auto refused = [&](const std::string& why) {
    const std::uint64_t before = open().log().state().size;
    EXPECT_ERROR(Denied, why, go_on());
    EXPECT_ERROR(Denied, why, look_at_resume(open().outlook(), inputs));
    EXPECT_EQ(open().log().state().size, before);
  };
  inputs.rehearsal = put("other.json", record + " ");
  refused("the ceremony was begun with another rehearsal, or none: \"" + sha256_hex(record) + "\"");
  EXPECT_ERROR(Denied, "the ceremony was begun with another rehearsal",
               abandon(open(), inputs, "a reason", console));
  inputs.rehearsal.reset();
  const auto copy = home.approvals() / (sha256_hex(record) + kRehearsalExtension);
  std::filesystem::rename(copy, world.folder / "aside");
  refused("the ceremony was begun with a rehearsal's record, which was not kept");
  std::filesystem::rename(world.folder / "aside", copy);
  EXPECT_EQ(encoding::parse_json(go_on().record, "record").at("comparison"), Json::array())
      << "the copy in the home is compared";
}

}  // namespace
}  // namespace qpcseal::ceremony
