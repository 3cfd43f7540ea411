// SPDX-License-Identifier: Apache-2.0
// Runs one step, from where an earlier run left it.
#pragma once

#include <filesystem>

#include "appliance/ceremony/console.h"
#include "appliance/ceremony/history.h"
#include "appliance/ceremony/plan.h"
#include "appliance/site/appliance.h"

namespace qpcseal::ceremony {

// The members that all entries of a ceremony have.
struct CeremonyIds {
  std::string ceremony, plan_sha256;  // hex
  encoding::Json approvers;
};

class StepRunner {
 public:
  StepRunner(site::Appliance& appliance, const Plan& plan, CeremonyIds frame, std::filesystem::path dir,
             Console& console)
      : appliance_(appliance),
        plan_(plan),
        frame_(std::move(frame)),
        folder_(std::move(dir)),
        console_(console) {}

  // Does what is left of the step. Error{Usage} where people stop.
  void run(const Step& step, std::size_t number);

 private:
  [[nodiscard]] History history() const;
  // The attempt to go on with: the open one, or a new one.
  Attempt begin(const Step& step);
  // Whether the act is done, by what log, token and folder say; Nothing done: false. An attempt whose act
  // failed is closed, and false comes with no open attempt.
  bool settle(const Step& step, Attempt& attempt);
  void act(const Step& step, const Attempt& attempt);
  void complete_output(const Step& step, const Attempt& attempt) const;
  void finish(const Step& step, const Attempt& attempt);
  void close(const Attempt& attempt, const std::string& outcome, encoding::Json data);
  void announce(const Step& step, std::size_t number);
  // Of a checkpoint that was written: its size and root, on the screen and into `written`.
  void say_root(encoding::Json& written);
  [[nodiscard]] encoding::Json find_approval(const Step& step, const Attempt& attempt) const;
  [[nodiscard]] std::filesystem::path output_path(const Step& step) const;

  site::Appliance& appliance_;
  const Plan& plan_;
  CeremonyIds frame_;
  std::filesystem::path folder_;
  Console& console_;
};

// The members that every entry of a step has.
encoding::Json step_data(const CeremonyIds& frame, const std::string& step, std::uint64_t attempt);

}  // namespace qpcseal::ceremony
