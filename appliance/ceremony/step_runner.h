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
struct Frame {
  std::string ceremony, plan_sha256;  // hex
  audit::Json approvers;
};

class StepRunner {
 public:
  StepRunner(release::Appliance& appliance, const Plan& plan, Frame frame, std::filesystem::path folder,
             Console& console)
      : appliance_(appliance),
        plan_(plan),
        frame_(std::move(frame)),
        folder_(std::move(folder)),
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
  void close(const Attempt& attempt, const std::string& outcome, audit::Json data);
  void announce(const Step& step, std::size_t number);
  [[nodiscard]] audit::Json approval_of(const Step& step, const Attempt& attempt) const;
  [[nodiscard]] std::filesystem::path output_path(const Step& step) const;

  release::Appliance& appliance_;
  const Plan& plan_;
  Frame frame_;
  std::filesystem::path folder_;
  Console& console_;
};

// The members that every entry of a step has.
audit::Json step_data(const Frame& frame, const std::string& step, std::uint64_t attempt);

}  // namespace qpcseal::ceremony
