// SPDX-License-Identifier: Apache-2.0
// A prompt on a terminal: a line that can be edited, completed by TAB, and found again by the arrow keys
// (calls libedit). Lines are kept until the program ends, in no file; one that begins with a blank is not
// kept.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace qpcseal::cli {

enum class Input { Line, End, Idle };

class LineEditor {
 public:
  // What can stand for the last of `words`; kFiles of cli/completion.h stands for names of files.
  using Complete = std::function<std::vector<std::string>(const std::vector<std::string>& words)>;

  // Standard input must be a terminal. Error{Io} where it cannot be used.
  LineEditor(const std::string& prompt, Complete complete);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // A line without its end. Idle where no key is pressed for so many seconds.
  Input read(std::string& line, int idle);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qpcseal::cli
