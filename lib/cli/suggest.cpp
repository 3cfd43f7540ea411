// SPDX-License-Identifier: Apache-2.0
#include "cli/suggest.h"

#include <memory>

#include "base/text.h"
#include "cli/command_tree.h"

namespace qpcseal::cli {

namespace {

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> out;
  for (const CLI::App* command : shown_commands(app)) out.push_back(command->get_name());
  return out;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> out;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) out.push_back("--" + name);
  return out;
}

std::string path_of(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : path_of(*app.get_parent()) + " " + app.get_name();
}

Error unknown_command(const CLI::App& app, const std::string& word) {
  const std::vector<std::string> names = command_names(app);
  return with_nearest({ErrorKind::Usage, "unknown command '" + word + "' of '" + path_of(app) + "'",
                       "its commands: " + join(names)},
                      word, names);
}

Error unknown_option(const CLI::App& app, const std::string& word) {
  return with_nearest({ErrorKind::Usage, "unknown option '" + word + "' of '" + path_of(app) + "'",
                       "'" + path_of(app) + " --help' lists its options"},
                      word, option_names(app));
}

}  // namespace

std::optional<Error> unknown_word(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* at = &app;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") return std::nullopt;
    if (word.starts_with("--")) {
      const std::string name = word.substr(0, word.find('='));
      const CLI::Option* option = at->get_option_no_throw(name);
      if (option == nullptr) return unknown_option(*at, name);
      if (name == word && option->get_items_expected_min() > 0) ++i;  // its value
    } else if (!word.starts_with('-') && !shown_commands(*at).empty()) {
      const CLI::App* command = find_command(*at, word);
      if (command == nullptr) return unknown_command(*at, word);
      at = command;
    }
  }
  if (!shown_commands(*at).empty())
    return Error(ErrorKind::Usage, "'" + path_of(*at) + "' needs a command",
                 "its commands: " + join(command_names(*at)));
  return std::nullopt;
}

void add_help_commands(CLI::App& app) {
  CLI::App* help = app.add_subcommand("help", "The help of a command, as its --help");
  const auto words = std::make_shared<std::vector<std::string>>();
  help->add_option("COMMAND", *words, "The command's words, e.g. mek list");
  help->callback([&app, words] {
    const CLI::App* at = &app;
    for (const std::string& word : *words) {
      const CLI::App* next = find_command(*at, word);
      if (next == nullptr) throw Error(unknown_command(*at, word));
      at = next;
    }
    // Not App::help(): that is of the command that was given, which is `help`.
    std::string text = at->get_formatter()->make_help(at, path_of(*at), CLI::AppFormatMode::Normal);
    while (text.ends_with('\n')) text.pop_back();
    throw CLI::CallForVersion(text, 0);
  });
  app.add_subcommand("version", "The program's version, as --version")->callback([&app] {
    throw CLI::CallForVersion(app.version(), 0);
  });
}

}  // namespace qpcseal::cli
