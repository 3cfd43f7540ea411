// SPDX-License-Identifier: Apache-2.0
#include "cli/man_page.h"
#include "base/print.h"
#include "cli/command_tree.h"

#include <algorithm>
#include <memory>
#include <sstream>
#include <utility>

namespace qpcseal::cli {

namespace {

// Text as roff shows it unchanged: no escapes, and no line that would be a request.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '^' || c == '~') {
      out += c == '^' ? "\\(ha" : "\\(ti";
    } else if (c == '`') {
      out += "\\(ga";
    } else if (c == '\'') {
      out += "\\(aq";
    } else {
      out += c;
    }
  }
  if (!out.empty() && out.front() == '.') out.insert(0, "\\&");
  return out;
}

std::string bold(std::string_view text) { return "\\fB" + plain(text) + "\\fR"; }

// Paragraphs; runs of lines that start with two blanks are literal.
std::string paragraphs(const std::string& text) {
  std::istringstream lines(text);
  std::string out, line;
  bool literal = false, fresh = true;
  while (std::getline(lines, line)) {
    const bool indented = line.starts_with("  ");
    if (literal && !indented) out += ".fi\n.RE\n.PP\n";
    if (!literal && indented) out += ".PP\n.RS 4\n.nf\n";
    if (!indented && line.empty() && !fresh && !literal) out += ".PP\n";
    if (!line.empty())
      out += plain(indented ? std::string_view(line).substr(2) : std::string_view(line)) + "\n";
    fresh = line.empty();
    literal = indented;
  }
  if (literal) out += ".fi\n.RE\n";
  while (out.ends_with(".PP\n")) out.erase(out.size() - 4);
  return out;
}

bool is_shown(const CLI::Option& option) { return !option.get_group().empty(); }

std::vector<const CLI::Option*> options_of(const CLI::App& app, bool positional) {
  std::vector<const CLI::Option*> out;
  for (const CLI::Option* option : app.get_options())
    if (is_shown(*option) && option->get_positional() == positional) out.push_back(option);
  return out;
}

// What stands for the value: "TEXT", "UINT in [1 - 64]", "{token,envelope}"; empty for a flag. CLI11 puts the
// type before what a check says, which says more.
std::string value_of(const CLI::Option& option) {
  const std::string name = option.get_type_name();
  const std::size_t colon = name.find(':');
  return colon == std::string::npos ? name : name.substr(colon + 1);
}

// "-o, --output TEXT"
std::string option_head(const CLI::Option& option) {
  std::string names = option.get_positional() ? option.get_name(true, false) : option.get_name(false, true);
  std::string spaced;
  for (const char c : names) spaced += c == ',' ? std::string(", ") : std::string(1, c);
  std::string out = bold(spaced);
  const std::string value = option.get_positional() ? std::string() : value_of(option);
  if (!value.empty()) out += " \\fI" + plain(value) + "\\fR";
  if (option.get_expected_max() > 1) out += " ...";
  if (option.get_required()) out += " (required)";
  return out;
}

std::string options_text(const CLI::App& app) {
  std::string out;
  for (const bool positional : {true, false})
    for (const CLI::Option* option : options_of(app, positional))
      out += ".TP\n" + option_head(*option) + "\n" + plain(option->get_description()) + "\n";
  return out;
}

std::string synopsis_of(const CLI::App& app, const std::string& path) {
  std::string out = bold(path);
  for (const CLI::Option* option : options_of(app, true)) {
    const std::string name = "\\fI" + plain(option->get_name(true, false)) + "\\fR";
    out += option->get_required() ? " " + name : " [" + name + "]";
  }
  for (const CLI::Option* option : options_of(app, false)) {
    if (!option->get_required()) continue;
    const std::string names = option->get_name(false, true);
    out += " " + bold(names.substr(names.rfind(',') + 1));
    if (const std::string value = value_of(*option); !value.empty()) out += " \\fI" + plain(value) + "\\fR";
  }
  return out + " [\\fIoptions\\fR]";
}

// Without what all commands have in common.
std::string own_footer(const CLI::App& command, const std::string& common) {
  std::string own = command.get_footer();
  if (!common.empty() && own.ends_with(common)) own.erase(own.size() - common.size());
  while (own.ends_with('\n')) own.pop_back();
  return own;
}

// A command that has commands is only their heading.
void add_commands(std::string& out, const CLI::App& app, const std::string& path, const std::string& footer) {
  for (const CLI::App* command : shown_commands(app)) {
    const std::string name = path + " " + command->get_name();
    if (!shown_commands(*command).empty()) {
      add_commands(out, *command, name, footer);
      continue;
    }
    out += ".SS " + plain(name) + "\n" + synopsis_of(*command, name) + "\n.PP\n" +
           paragraphs(command->get_description()) + options_text(*command);
    const std::string own = own_footer(*command, footer);
    if (!own.empty()) out += ".PP\n" + paragraphs(own);
  }
}

// Help with the same words for values.
class PlainFormatter final : public CLI::Formatter {
 public:
  [[nodiscard]] std::string make_option_opts(const CLI::Option* option) const override {
    const std::string value = value_of(*option);
    std::string out = value.empty() ? "" : " " + value;
    if (option->get_expected_max() > 1) out += " ...";
    return out + (option->get_required() ? " (required)" : "");
  }
};

void use_formatter(CLI::App& app, const std::shared_ptr<PlainFormatter>& formatter) {
  app.formatter(formatter);
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; }))
    use_formatter(*command, formatter);
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text;
}

}  // namespace

std::string man_page(const CLI::App& app, const ManualFacts& facts) {
  std::string out = ".TH " + plain(upper(facts.program)) + " 1 \"" + facts.date + "\" \"" +
                    plain(facts.program + " " + facts.version) + "\" \"qpcseal\"\n.SH NAME\n" +
                    plain(facts.program) + " \\- " + plain(facts.purpose) + "\n.SH SYNOPSIS\n";
  const bool has_commands = !shown_commands(app).empty();
  const std::string path = facts.path.empty() ? facts.program : facts.path;
  out += has_commands ? bold(path) + " \\fIcommand\\fR [\\fIoptions\\fR]\n" : synopsis_of(app, path) + "\n";
  out += ".SH DESCRIPTION\n" + paragraphs(app.get_description()) + ".SH OPTIONS\n" + options_text(app);
  if (has_commands) {
    out += ".SH COMMANDS\n";
    add_commands(out, app, path, app.get_footer());
  }
  for (const ManualSection& section : facts.sections)
    out += ".SH " + plain(section.title) + "\n" + paragraphs(section.text);
  if (!app.get_footer().empty()) out += ".SH NOTES\n" + paragraphs(app.get_footer());
  out += ".SH SEE ALSO\n";
  for (std::size_t i = 0; i < facts.see_also.size(); ++i)
    out += plain(facts.see_also[i]) + (i + 1 < facts.see_also.size() ? ",\n" : "\n");
  return out;
}

namespace {

void add_page(CLI::App& app, ManualFacts facts) {
  app.add_flag_callback(
         "--man",
         [&app, facts = std::move(facts)] {
           std::string page = man_page(app, facts);
           page.pop_back();  // CLI11 ends it with a line feed
           throw CLI::CallForVersion(page, 0);
         },
         "Print this program's man page")
      ->group("");
}

// "qpcseal-mek"; another name where a program has that one.
std::string page_name(const ManualFacts& of_program, const std::string& group) {
  const std::string name = of_program.program + "-" + group;
  const bool taken = std::ranges::find(of_program.see_also, name + "(1)") != of_program.see_also.end();
  return taken ? name + "-commands" : name;
}

// A group's page says what the program's says of its commands.
void add_group_pages(CLI::App& app, const ManualFacts& of_program) {
  for (CLI::App* group :
       app.get_subcommands([](const CLI::App* command) { return !shown_commands(*command).empty(); }))
    add_page(*group, {page_name(of_program, group->get_name()),
                      group->get_description(),
                      of_program.version,
                      of_program.date,
                      {},
                      {of_program.program + "(1)"},
                      of_program.program + " " + group->get_name()});
}

}  // namespace

void add_manual(CLI::App& app, ManualFacts facts) {
  use_formatter(app, std::make_shared<PlainFormatter>());
  add_group_pages(app, facts);
  add_page(app, std::move(facts));
}

int print_help(const CLI::App& app, const CLI::ParseError& asked) {
  std::ostringstream out;
  const int code = app.exit(asked, out, out);
  print(out.str(), Lines::Wrap);
  return code;
}

}  // namespace qpcseal::cli
