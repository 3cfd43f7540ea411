// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

#include <algorithm>

#include "base/error.h"
#include "base/print.h"
#include "cli/command_tree.h"

namespace qpcseal::cli {

namespace {

constexpr const char* kBash = R"(_qpcseal() {
  local line cur=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  while IFS= read -r line; do
    if [ "$line" = :files ]; then
      compopt -o filenames
      while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur")
    else
      COMPREPLY+=("$line")
    fi
  done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _qpcseal qpcseal qpcseal-attest qpcseal-device
)";

constexpr const char* kZsh = R"(#compdef qpcseal qpcseal-attest qpcseal-device
_qpcseal() {
  local -a found
  local line
  for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == :files ]]; then _files; elif [[ -n $line ]]; then found+=("$line"); fi
  done
  (( $#found )) && compadd -a found
}
if [ "$funcstack[1]" = _qpcseal ]; then _qpcseal; else compdef _qpcseal qpcseal qpcseal-attest qpcseal-device; fi
)";

constexpr const char* kFish = R"(function __qpcseal_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
    if test "$line" = :files
      __fish_complete_path (commandline -ct)
    else
      echo $line
    end
  end
end
for program in qpcseal qpcseal-attest qpcseal-device
  complete -c $program -f -a '(__qpcseal_complete)'
end
)";

struct Shell {
  std::string_view name;
  const char* script;
};
constexpr Shell kShells[] = {{"bash", kBash}, {"zsh", kZsh}, {"fish", kFish}};

// Where the words before the last one lead.
struct Place {
  const CLI::App* app;
  const CLI::Option* waiting = nullptr;  // the option whose value comes next
  std::size_t arguments = 0;             // given to the command so far
};

void step(Place& place, const std::string& word) {
  if (place.waiting != nullptr) {
    place.waiting = nullptr;
    return;
  }
  if (word.starts_with('-')) {
    const CLI::Option* option = place.app->get_option_no_throw(word);
    if (option != nullptr && option->get_items_expected_min() > 0) place.waiting = option;
    return;
  }
  if (const CLI::App* command = find_command(*place.app, word); command != nullptr)
    place = {command};
  else
    ++place.arguments;
}

std::vector<std::string> long_options(const CLI::App& app) {
  std::vector<std::string> out;
  for (const CLI::Option* option : app.get_options())
    if (!option->get_group().empty())
      for (const std::string& name : option->get_lnames()) out.push_back("--" + name);
  return out;
}

// The argument that comes next; the last one may take several.
const CLI::Option* next_argument(const Place& place) {
  std::size_t at = 0;
  for (const CLI::Option* option : place.app->get_options()) {
    if (!option->get_positional()) continue;
    if (at == place.arguments || option->get_expected_max() > 1) return option;
    ++at;
  }
  return nullptr;
}

std::vector<std::string> values(const CLI::Option& option, const ValuesOf& values_of) {
  const std::string name =
      option.get_lnames().empty() ? option.get_name(true, false) : "--" + option.get_lnames().front();
  std::vector<std::string> out = values_of(name);
  if (out.empty()) out.emplace_back(kFiles);
  return out;
}

std::vector<std::string> candidates(const Place& place, const std::string& last, const ValuesOf& values_of) {
  if (place.waiting != nullptr) return values(*place.waiting, values_of);
  if (last.starts_with('-')) return long_options(*place.app);
  std::vector<std::string> out;
  for (const CLI::App* command : shown_commands(*place.app)) out.push_back(command->get_name());
  if (!out.empty()) return out;
  const CLI::Option* argument = next_argument(place);
  return argument != nullptr ? values(*argument, values_of) : long_options(*place.app);
}

}  // namespace

std::vector<std::string> completions(const CLI::App& app, const std::vector<std::string>& words,
                                     const ValuesOf& values_of) {
  Place place{&app};
  for (std::size_t i = 0; i + 1 < words.size(); ++i) step(place, words[i]);
  const std::string last = words.empty() ? "" : words.back();
  std::vector<std::string> out = candidates(place, last, values_of);
  std::erase_if(out, [&](const std::string& word) { return word != kFiles && !word.starts_with(last); });
  std::ranges::sort(out);
  return out;
}

bool print_completions(const CLI::App& app, const std::vector<std::string>& words,
                       const ValuesOf& values_of) {
  if (words.empty() || words.front() != kComplete) return false;
  std::string out;
  for (const std::string& word : completions(app, {words.begin() + 1, words.end()}, values_of))
    out += word + "\n";
  print(out);
  return true;
}

std::string completion_script(std::string_view shell) {
  for (const Shell& one : kShells)
    if (one.name == shell) return one.script;
  throw Error(ErrorKind::Usage, "no completion for shell '" + std::string(shell) + "'", "bash, zsh or fish");
}

std::vector<std::string> completed_shells() {
  std::vector<std::string> out;
  for (const Shell& one : kShells) out.emplace_back(one.name);
  return out;
}

}  // namespace qpcseal::cli
