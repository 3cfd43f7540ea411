// SPDX-License-Identifier: Apache-2.0
// Ceremonies in a demonstration with a token: plans of three steps, and people who answer from a script.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <stdexcept>

#include "appliance/ceremony/runner.h"
#include "tests/base/expect_error.h"
#include "tests/support/appliance_fixture.h"

namespace qpcseal::testing {

// Answers as people do who follow the plan.
class ScriptedConsole final : public ceremony::Console {
 public:
  void say(const std::string& text) override { screen += text; }
  std::string ask(const std::string& prompt) override {
    screen += prompt;
    ++prompts;
    if (before) before(prompt);
    if (prompts == ends_at) throw Error(ErrorKind::Usage, "stopped: the input ended");
    for (auto& [part, given] : first)
      if (prompt.find(part) != std::string::npos && !given.empty()) {
        std::string answer = given.front();
        given.pop_front();
        return answer;
      }
    for (const auto& [part, answer] : kAnswers)
      if (prompt.find(part) != std::string::npos) return answer;
    throw std::logic_error("no answer to '" + prompt + "'");
  }

  std::string screen;
  std::size_t prompts = 0;
  std::size_t ends_at = 0;                                // the prompt, from 1, at which the input ends
  std::function<void(const std::string& prompt)> before;  // called at each prompt
  std::map<std::string, std::deque<std::string>> first;   // answers that come before the plan's, by prompt

 private:
  inline static const std::vector<std::pair<std::string, std::string>> kAnswers = {
      {"'go'", "go"}, {"'done'", "done"}, {"type Yes", "Yes"}, {"initials", "W.W."}, {"deviation", ""}};
};

class CeremonyTest : public ::testing::Test {
 protected:
  // The prompts of a run of three steps, by their numbers.
  static constexpr std::size_t kBegin = 1, kDone = 2, kGo = 5, kMadeInitials = 6, kPrompts = 10;

  // One for all tests, which takes a moment to make; open during each.
  static DemoAppliance& demo() {
    static DemoAppliance one;
    return one;
  }
  // A plan serves once, and so does the name of its MEK.
  static std::string new_name() {
    static unsigned count = 0;
    return "c" + std::to_string(++count);
  }

  void TearDown() override {
    try {
      end_open();
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
    demo().close();  // a module is open once in a process
  }
  // The next test begins one of its own.
  void end_open() {
    for (const auto& [sha256, ceremony] : appliance.log().state().ceremonies) {
      if (!ceremony.outcome.empty()) continue;
      ScriptedConsole last;
      static_cast<void>(ceremony::abandon(
          appliance, {ceremony::kept_plan(demo().home, sha256), dir.path(), {}, {}}, "the test ended", last));
      return;
    }
  }

  [[nodiscard]] std::string head(unsigned threshold = 0) const {
    return "format = \"qpcseal/plan/1\"\nceremony = \"" + name +
           "\"\ntitle = \"A first key\"\nappliance = \"plant-1\"\naud = \"" +
           encoding::text_member(appliance.log().state().genesis, "aud") +
           "\"\nvalid_until = \"2027-01-16T08:00:00Z\"\nthreshold = " + std::to_string(threshold) +
           "\nrehearsed = false\n[token]\nmanufacturer = \"SoftHSM project\"\nmodel = \"SoftHSM v2\"\n"
           "signing = \"ed25519\"\nsuites = [2]\nlacking = []\nanchor = true\n"
           "[[person]]\nname = \"Anna Adler\"\nrole = \"leader\"\n"
           "[[person]]\nname = \"Wanda Wolf\"\nrole = \"witness\"\n";
  }
  static std::string step(const std::string& id, const std::string& act, const std::string& arguments) {
    return "[[step]]\nid = \"" + id + "\"\ndo = \"" + act +
           "\"\nwho = \"Anna Adler\"\nsee = \"what is to be seen\"\n" + arguments;
  }
  [[nodiscard]] std::string make_step() const {
    return step("make", "mek-generate", "say = \"I make it.\"\nmek = \"" + name + "\"\n");
  }
  [[nodiscard]] std::string three_steps() const {
    return step("prepare", "manual", "text = \"Unplug the network.\"\n") + make_step() +
           step("checkpoint", "checkpoint", "output = \"log.checkpoint\"\n");
  }
  [[nodiscard]] std::string plan_text() const { return head() + three_steps(); }
  static std::string changed(std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
  }

  [[nodiscard]] ceremony::CeremonyInputs inputs() const { return {plan, dir.path(), {}, {}}; }
  ceremony::CeremonyResult run() { return ceremony::run(appliance, inputs(), console); }
  // As far as the prompt with this number, where the input ends.
  void run_until(std::size_t prompt) {
    ScriptedConsole people;
    people.ends_at = prompt;
    EXPECT_ERROR(Usage, "stopped: the input ended", ceremony::run(appliance, inputs(), people));
  }
  [[nodiscard]] std::uint64_t size() const { return appliance.log().state().size; }
  [[nodiscard]] audit::LogCopy log() const { return audit::read_log(demo().home.log(), std::nullopt); }
  [[nodiscard]] audit::Entry entry(std::uint64_t seq) const { return audit::parse_entry(log().line(seq)); }
  // "kind outcome" of what was logged from `from` on.
  [[nodiscard]] std::vector<std::string> entries(std::uint64_t from) const {
    return demo().last_entries(size() - from);
  }
  // How many MEKs of this test the log has.
  [[nodiscard]] std::ptrdiff_t meks() const {
    return std::ranges::count_if(appliance.log().state().meks, [&](const auto& item) {
      return item.second.label.starts_with(name + "#") && item.second.state == "ok";
    });
  }
  [[nodiscard]] ceremony::History history() const {
    return ceremony::find_history(log(), plan.sha256).value();
  }

  site::Appliance& appliance = demo().open();
  TempFolder dir;
  std::string name = new_name();
  ceremony::Plan plan = ceremony::parse_plan(plan_text(), "plan");
  ScriptedConsole console;
};

}  // namespace qpcseal::testing
