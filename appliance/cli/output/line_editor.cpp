// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/line_editor.h"

#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cwchar>
#include <filesystem>
#include <optional>

#include "appliance/cli/output/act_process.h"
#include "base/error.h"
#include "base/print.h"
#include "base/retry.h"
#include "base/signals.h"
#include "base/terminal.h"
#include "base/text.h"
#include "cli/completion.h"

namespace qpcseal::cli {

namespace {

namespace fs = std::filesystem;

constexpr int kKept = 500;                         // lines
constexpr std::string_view kEscaped = " \t'\"\\";  // in an unquoted word
constexpr std::size_t kMaxListed = 200;            // candidates below the line

// The names in the folder that `word` begins to name: what stands before its last '/' stays as it was typed.
std::vector<std::string> files_for(const std::string& word) {
  const std::string dir = word.substr(0, word.rfind('/') == std::string::npos ? 0 : word.rfind('/') + 1);
  std::vector<std::string> out;
  std::error_code failed;
  for (const auto& item : fs::directory_iterator(dir.empty() ? "." : dir, failed)) {
    const std::string name = item.path().filename().string();
    if (!(dir + name).starts_with(word) || (name.starts_with('.') && word.size() == dir.size())) continue;
    out.push_back(dir + name + (item.is_directory(failed) ? "/" : ""));
  }
  return out;
}

std::string common_start(const std::vector<std::string>& all) {
  std::string out = all.front();
  for (const std::string& one : all) {
    const auto end = std::ranges::mismatch(out, one).in1;
    out.erase(end, out.end());
  }
  return out;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (kEscaped.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

// In columns of one width, as many as fit.
void list_below(const std::vector<std::string>& all) {
  const std::size_t listed = std::min(all.size(), kMaxListed);
  std::size_t width = 0;
  for (std::size_t i = 0; i < listed; ++i) width = std::max(width, display_width(printable(all[i])) + 2);
  const std::size_t in_line = std::max<std::size_t>(1, text_columns() / width);
  std::string out;
  for (std::size_t i = 0; i < listed; ++i) {
    const std::string one = printable(all[i]);
    out += (i % in_line == 0 ? "\n" : std::string(width - display_width(printable(all[i - 1])), ' ')) + one;
  }
  if (all.size() > kMaxListed) out += "\nand " + std::to_string(all.size() - kMaxListed) + " more";
  print_error(out + "\n");
}

}  // namespace

struct LineEditor::State {
  std::string prompt;
  Complete complete;
  EditLine* line = nullptr;
  History* history = nullptr;
  int idle = 0;  // seconds
  bool was_idle = false, dropped = false;
  std::optional<SignalInput> resized;  // while a line is edited
  std::mbstate_t shift{};

  static State& of(EditLine* line) {
    void* out = nullptr;
    el_get(line, EL_CLIENTDATA, &out);
    return *static_cast<State*>(out);
  }

  static char* show_prompt(EditLine* line) { return of(line).prompt.data(); }

  // One character, of as many bytes as it has.
  static int read_key(EditLine* line, wchar_t* key) {
    State& self = of(line);
    while (true) {
      std::array inputs{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{self.resized->descriptor(), POLLIN, 0}};
      const int ready =
          retry_interrupted([&] { return poll(inputs.data(), inputs.size(), self.idle * 1000); });
      self.was_idle = ready == 0;
      if (ready <= 0) return ready;
      if (inputs[1].revents != 0) self.redraw();
      if (inputs[0].revents == 0) continue;
      char byte = 0;
      const ssize_t got = retry_interrupted([&] { return ::read(STDIN_FILENO, &byte, 1); });
      if (got <= 0) return static_cast<int>(got);
      const std::size_t done = std::mbrtowc(key, &byte, 1, &self.shift);
      if (done == static_cast<std::size_t>(-2)) continue;  // more bytes belong to it
      if (done == static_cast<std::size_t>(-1)) self.shift = {};
      if (done != static_cast<std::size_t>(-1)) return 1;
    }
  }

  // The terminal has another size, and has laid out its lines anew by now: the cursor stands as many rows
  // below the prompt as what is before it takes. libedit's own handler serves for one resize of a line, draws
  // nothing, and signals the whole process group.
  void redraw() const {
    resized->take();
    const LineInfo* info = el_line(line);
    const std::string_view before(info->buffer, static_cast<std::size_t>(info->cursor - info->buffer));
    clear_lines((display_width(prompt) + display_width(before)) / text_columns());
    el_resize(line);
    el_set(line, EL_REFRESH);
  }

  // Ctrl-C: what was typed is dropped, and the shell goes on.
  static unsigned char on_interrupt(EditLine* line, int /*key*/) {
    of(line).dropped = true;
    print_error("^C\n");
    return CC_NEWLINE;
  }

  static unsigned char on_tab(EditLine* line, int /*key*/) {
    try {
      return of(line).complete_word();
    } catch (const Error&) {  // a quote that has no end yet, and the like
      return CC_REFRESH_BEEP;
    }
  }

  unsigned char complete_word() {
    const LineInfo* info = el_line(line);
    const std::string typed(info->buffer, info->cursor);
    std::vector<std::string> words = split_words(typed);
    if (typed.empty() || typed.ends_with(' ')) words.emplace_back();
    const std::string word = words.back();
    std::vector<std::string> all = complete(words);
    if (std::erase(all, kFiles) > 0)
      for (std::string& name : files_for(word)) all.push_back(std::move(name));
    if (all.empty()) return CC_REFRESH_BEEP;
    std::ranges::sort(all);
    std::string more = escaped(std::string_view(common_start(all)).substr(word.size()));
    if (all.size() == 1 && !all.front().ends_with('/')) more += ' ';
    if (!more.empty()) return el_insertstr(line, more.c_str()) == 0 ? CC_REFRESH : CC_REFRESH_BEEP;
    list_below(all);
    return CC_REDISPLAY;
  }
};

LineEditor::LineEditor(const std::string& prompt, Complete complete) : state_(std::make_unique<State>()) {
  state_->prompt = prompt;
  state_->complete = std::move(complete);
  std::setlocale(LC_CTYPE, "");  // how the terminal writes letters
  HistEvent event{};
  state_->history = history_init();
  state_->line = el_init("qpcseal", stdin, stderr, stderr);
  if (state_->line == nullptr || state_->history == nullptr)
    throw Error(ErrorKind::Io, "the terminal cannot be used for a prompt");
  history(state_->history, &event, H_SETSIZE, kKept);
  EditLine* line = state_->line;
  el_set(line, EL_CLIENTDATA, state_.get());
  el_set(line, EL_PROMPT, State::show_prompt);
  el_set(line, EL_EDITOR, "emacs");
  el_set(line, EL_SIGNAL, 1);
  el_set(line, EL_HIST, history, state_->history);
  el_set(line, EL_GETCFN, State::read_key);
  el_set(line, EL_ADDFN, "qpcseal-complete", "complete the word", State::on_tab);
  el_set(line, EL_BIND, "\t", "qpcseal-complete", nullptr);
  // While a line is edited Ctrl-C is a key, and no signal that would end the shell.
  el_set(line, EL_SETTY, "-d", "-isig", nullptr);
  el_set(line, EL_ADDFN, "qpcseal-drop", "drop the line", State::on_interrupt);
  el_set(line, EL_BIND, "^C", "qpcseal-drop", nullptr);
}

LineEditor::~LineEditor() {
  if (state_->line != nullptr) el_end(state_->line);
  if (state_->history != nullptr) history_end(state_->history);
}

Input LineEditor::read(std::string& line, int idle) {
  state_->idle = idle;
  state_->was_idle = state_->dropped = false;
  int count = 0;
  state_->resized.emplace(SIGWINCH);
  // Before the prompt: libedit does it after, and keys in between are lost.
  el_set(state_->line, EL_PREP_TERM, 1);
  const char* got = el_gets(state_->line, &count);
  state_->resized.reset();
  if (state_->was_idle) return Input::Idle;
  if (state_->dropped) {
    line.clear();
    return Input::Line;
  }
  if (got == nullptr || count <= 0) return Input::End;
  line.assign(got, static_cast<std::size_t>(count));
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  HistEvent event{};
  if (!line.empty() && !line.starts_with(' ')) history(state_->history, &event, H_ENTER, line.c_str());
  return Input::Line;
}

}  // namespace qpcseal::cli
