// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/plan.h"

#include <toml++/toml.h>

#include <algorithm>
#include <set>

#include "appliance/audit/site_facts.h"
#include "appliance/ceremony/step_rules.h"
#include "appliance/keys/mek.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/nearest.h"
#include "base/terminal.h"
#include "base/text.h"
#include "encoding/file_kind.h"
#include "encoding/pgp_words.h"
#include "encoding/toml.h"

namespace qpcseal::ceremony {

namespace {

using encoding::TomlReader;

constexpr std::size_t kMaxName = 64;  // bytes
constexpr std::size_t kMaxSteps = 64;
constexpr std::string_view kFormat = "qpcseal/plan/1";

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && name.front() != '.' && name.front() != '-' &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                  c == '_' || c == '-';
         });
}

std::string plain_name(TomlReader& reader, std::string_view key) {
  std::string out = reader.text(key);
  if (!is_plain_name(out))
    reader.refuse(reader.line_of_key(key),
                  "'" + std::string(key) + "': letters, digits, '.', '_' and '-', at most 64, no folder");
  return out;
}

// Acts that make keys of a name want no generation.
std::string mek_reference(TomlReader& reader, std::string_view key, const Step& step) {
  std::string out = reader.text(key);
  try {
    const bool makes = step.act == "mek-generate" || step.act == "mek-rotate";
    if (parse_reference(out).generation != 0 && makes)
      throw Error(ErrorKind::Usage, "a name without generation");
  } catch (const Error& error) {
    reader.refuse(reader.line_of_key(key), "'" + std::string(key) + "': '" + out + "': " + error.what());
  }
  return out;
}

bool flag(TomlReader& reader, std::string_view key) {
  const auto value = reader.take(key).value_exact<bool>();
  if (!value) reader.refuse(reader.line_of_key(key), "'" + std::string(key) + "' must be true or false");
  return *value;
}

TokenRule read_token(TomlReader reader) {
  TokenRule out;
  out.manufacturer = reader.text("manufacturer");
  out.model = reader.text("model");
  out.signing = reader.text("signing");
  if (out.signing != "ed25519" && out.signing != "ecdsa-p256")
    reader.refuse(reader.line_of_key("signing"), "'signing' is \"ed25519\" or \"ecdsa-p256\"");
  out.suites = reader.integers("suites", 1, 4);
  out.lacking = reader.texts("lacking", TomlReader::Empty::Allowed);
  out.anchor = flag(reader, "anchor");
  reader.finish();
  return out;
}

std::vector<std::string> names_of(const std::vector<Person>& people) {
  std::vector<std::string> out;
  for (const Person& person : people) out.push_back(person.name);
  return out;
}

// What was meant, or else all that there is.
std::string known_or(const std::string& word, const std::vector<std::string>& known) {
  const std::string meant = did_you_mean(word, known);
  return meant.empty() ? "known: " + join(known) : meant;
}

void read_argument(TomlReader& reader, const ArgumentRule& rule, Step& step) {
  const std::string key(rule.name);
  switch (rule.kind) {
    case ArgumentKind::File:
      step.arguments[key] = plain_name(reader, key);
      break;
    case ArgumentKind::Digest: {
      const Bytes digest = reader.hex(key);
      if (digest.size() != sizeof(Sha256Digest))
        reader.refuse(reader.line_of_key(key), "'" + key + "' is no SHA-256");
      step.arguments[key] = to_hex(digest);
      break;
    }
    case ArgumentKind::Days:
      step.arguments[key] = std::to_string(reader.integer(key, 1, 3650));
      break;
    case ArgumentKind::Text:
      step.arguments[key] = reader.text(key);
      break;
    case ArgumentKind::Mek:
      step.arguments[key] = mek_reference(reader, key, step);
      break;
  }
}

Step read_step(TomlReader& reader, const Plan& plan) {
  Step out;
  out.line = reader.line();
  out.id = plain_name(reader, "id");
  out.act = reader.text("do");
  const ActRule* rule = act_rule(out.act);
  if (rule == nullptr)
    reader.refuse(reader.line_of_key("do"), "no such act '" + out.act + "'", known_or(out.act, act_names()));
  out.who = reader.text("who");
  const auto is_them = [&](const Person& person) { return person.name == out.who; };
  if (std::ranges::none_of(plan.people, is_them))
    reader.refuse(reader.line_of_key("who"), "'" + out.who + "' is none of the people",
                  known_or(out.who, names_of(plan.people)));
  out.see = reader.text("see");
  if (reader.has("say")) out.say = reader.text("say");
  for (const ArgumentRule& argument : rule->arguments)
    if (!argument.optional || reader.has(argument.name)) read_argument(reader, argument, out);
  for (const std::string name : {"transferee", "retirement", "recovery_key", "backup"})
    if (out.arguments.contains(name) != out.arguments.contains(name + "_sha256"))
      reader.refuse(out.line, "'" + name + "' and '" + name + "_sha256' stand together");
  reader.finish();
  return out;
}

void refuse_twice(const Plan& plan, const TomlReader& reader) {
  std::set<std::string> ids, outputs, people, officers;
  for (const Person& person : plan.people) {
    if (!people.insert(person.name).second)
      reader.refuse(reader.line(), "'" + person.name + "' stands twice");
    if (!person.officer.empty() && !officers.insert(person.officer).second)
      reader.refuse(reader.line(), "officer '" + person.officer + "' stands twice");
  }
  for (const Step& step : plan.steps) {
    if (!ids.insert(step.id).second) reader.refuse(step.line, "step '" + step.id + "' stands twice");
    const auto output = step.arguments.find("output");
    if (output != step.arguments.end() && !outputs.insert(output->second).second)
      reader.refuse(step.line, "output '" + output->second + "' stands twice");
  }
}

std::string read_image(TomlReader& reader) {
  const Bytes out = reader.hex("image");
  if (out.size() != audit::kImageSize)
    reader.refuse(reader.line_of_key("image"), "'image' is no root hash of an image: 64 hex digits");
  return to_hex(out);
}

Plan read_plan(TomlReader& reader, const std::string& file) {
  Plan out;
  out.file = file;
  if (reader.text("format") != kFormat)
    reader.refuse(reader.line_of_key("format"), "'format' must be \"qpcseal/plan/1\"");
  out.id = plain_name(reader, "ceremony");
  out.title = reader.text("title");
  if (reader.has("place")) out.place = reader.text("place");
  if (reader.has("image")) out.image = read_image(reader);
  out.appliance = reader.text("appliance");
  const Bytes aud = reader.hex("aud");
  if (aud.size() != 16) reader.refuse(reader.line_of_key("aud"), "'aud' has 16 bytes");
  out.aud = to_hex(aud);
  const std::string until = reader.text("valid_until");
  out.valid_until = with_context(file + ": valid_until", [&] { return parse_time(until); });
  out.threshold = static_cast<unsigned>(reader.integer("threshold", 0, 100));
  out.rehearsed = flag(reader, "rehearsed");
  out.token = read_token(reader.table("token", "token"));
  for (TomlReader& inner : reader.tables("person", "person")) {
    out.people.push_back(
        {inner.text("name"), inner.text("role"), inner.has("officer") ? inner.text("officer") : ""});
    inner.finish();
  }
  for (TomlReader& inner : reader.tables("step", "step")) out.steps.push_back(read_step(inner, out));
  if (out.steps.size() > kMaxSteps) reader.refuse(reader.line(), "more than 64 steps");
  reader.finish();
  refuse_twice(out, reader);
  return out;
}

}  // namespace

const Step* Plan::step(std::string_view name) const {
  const auto found = std::ranges::find(steps, name, &Step::id);
  return found == steps.end() ? nullptr : &*found;
}

MekReference parse_reference(const std::string& text) {
  const std::size_t at = text.find('#');
  MekReference out{text.substr(0, at), 0};
  keys::check_name(out.name);
  if (at == std::string::npos) return out;
  const auto generation = keys::parse_generation(std::string_view(text).substr(at + 1));
  if (!generation) throw Error(ErrorKind::Usage, "'" + text + "' is no label of a MEK, name#generation");
  out.generation = *generation;
  return out;
}

bool is_plan_text(std::string_view text) { return text.find(kFormat) != std::string_view::npos; }

Plan parse_plan(std::string_view text, const std::string& file) {
  if (text.size() > kMaxPlanSize) throw Error(ErrorKind::Malformed, file + ": more than 64 KiB");
  Plan out = encoding::as_kind(view(text), "a ceremony's plan", [&] {
    const toml::table table = encoding::parse_toml(text, file);
    TomlReader reader(table, "plan", file);
    return read_plan(reader, file);
  });
  out.text = std::string(text);
  out.sha256 = sha256_hex(text);
  return out;
}

std::string show(const Plan& plan) {
  std::string out = "Ceremony '" + plan.id + "': " + plan.title + "\nappliance " + plan.appliance + " (" +
                    plan.aud + ")\nSHA-256   " + plan.sha256 + "\nin words:\n" +
                    encoding::word_lines(from_hex(plan.sha256), "  ", text_columns()) + "until     " +
                    format_time(plan.valid_until) + "; " + std::to_string(plan.threshold) +
                    " officers sign it; " +
                    (plan.rehearsed ? "it is rehearsed first" : "it runs without a rehearsal") +
                    "\ntoken     " + plan.token.manufacturer + ", " + plan.token.model + "\n";
  if (!plan.place.empty()) out += "place     " + plan.place + "\n";
  if (!plan.image.empty())
    out += "image     " + plan.image + "\nin words:\n" +
           encoding::word_lines(from_hex(plan.image), "  ", text_columns());
  for (const Person& person : plan.people)
    out += "person    " + person.name + ", " + person.role +
           (person.officer.empty() ? "" : "; signs as " + person.officer) + "\n";
  unsigned number = 0;
  for (const Step& step : plan.steps) {
    out += "step " + std::to_string(++number) + "    " + step.id + ": " + step.act;
    for (const auto& [name, value] : step.arguments) out += " " + name + "=" + value;
    out += "; by " + step.who + "\n";
  }
  return out;
}

std::vector<Input> step_inputs(const Step& step) {
  std::vector<Input> out;
  for (const char* name : {"recovery_key", "backup", "transferee", "retirement"}) {
    const auto found = step.arguments.find(name);
    if (found == step.arguments.end()) continue;
    const std::string digest = std::string(name) + "_sha256";
    out.push_back({found->second, step.arguments.at(digest), digest});
  }
  return out;
}

std::optional<std::string> step_output(const Step& step) {
  const auto found = step.arguments.find("output");
  if (found == step.arguments.end()) return std::nullopt;
  return found->second;
}

}  // namespace qpcseal::ceremony
