// SPDX-License-Identifier: Apache-2.0
#include "tests/support/forward/faults.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <sstream>

namespace qpcseal::forward {
namespace {

struct Named {
  std::string_view name;
  FaultKind kind;
  bool needs_argument;
};
constexpr std::array kKinds = {
    Named{"return", FaultKind::Return, true},  Named{"return-after", FaultKind::ReturnAfter, true},
    Named{"vanish", FaultKind::Vanish, false}, Named{"vanish-after", FaultKind::VanishAfter, false},
    Named{"kill", FaultKind::Kill, false},     Named{"kill-after", FaultKind::KillAfter, false},
    Named{"stop", FaultKind::Stop, false},     Named{"stop-after", FaultKind::StopAfter, false},
    Named{"delay", FaultKind::Delay, true},    Named{"short", FaultKind::Short, false},
    Named{"lie", FaultKind::Lie, false},       Named{"handle", FaultKind::Handle, false},
};

[[noreturn]] void refuse(const std::string& line) {
  throw std::runtime_error("faults: cannot read '" + line + "'");
}

std::uint64_t number_in(const std::string& word, const std::string& line) {
  std::size_t used = 0;
  std::uint64_t value = 0;
  try {
    value = std::stoull(word, &used, 0);
  } catch (const std::exception&) {
    refuse(line);
  }
  if (used != word.size()) refuse(line);
  return value;
}

bool tells_a_length(Fn fn) {
  switch (fn) {
    case Fn::GetSlotList:
    case Fn::GetMechanismList:
    case Fn::GetAttributeValue:
    case Fn::FindObjects:
    case Fn::Encrypt:
    case Fn::EncryptUpdate:
    case Fn::EncryptFinal:
    case Fn::Decrypt:
    case Fn::Digest:
    case Fn::Sign:
    case Fn::WrapKey:
      return true;
    default:
      return false;
  }
}

bool gives_a_handle(Fn fn) {
  switch (fn) {
    case Fn::OpenSession:
    case Fn::GenerateKey:
    case Fn::GenerateKeyPair:
    case Fn::CreateObject:
    case Fn::CopyObject:
    case Fn::DeriveKey:
    case Fn::UnwrapKey:
      return true;
    default:
      return false;
  }
}

bool applies(FaultKind kind, Fn fn) {
  switch (kind) {
    case FaultKind::Short:
    case FaultKind::Lie:
      return tells_a_length(fn);
    case FaultKind::Handle:
      return gives_a_handle(fn);
    default:
      return true;
  }
}

// FUNCTION CALL KIND [ARGUMENT]
Rule rule_in(const std::vector<std::string>& words, const std::string& line) {
  if (words.size() < 3 || words.size() > 4) refuse(line);
  const auto fn = function_named(words[0]);
  const auto* kind =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const Named& k) { return k.name == words[2]; });
  if (!fn || kind == kKinds.end() || !applies(kind->kind, *fn)) refuse(line);
  if (kind->needs_argument && words.size() != 4) refuse(line);
  Rule rule{kind->kind, *fn, 0, std::nullopt};
  if (words[1] != "*") {
    rule.call = number_in(words[1], line);
    if (rule.call == 0) refuse(line);
  }
  if (words.size() == 4) rule.argument = number_in(words[3], line);
  return rule;
}

std::string text_of_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("faults: cannot open " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

std::optional<std::uint64_t> Faults::argument(FaultKind kind) const {
  const auto found = rules.find(kind);
  return found == rules.end() ? std::nullopt : found->second.argument;
}

std::string_view name_of(FaultKind kind) {
  return std::find_if(kKinds.begin(), kKinds.end(), [&](const Named& k) { return k.kind == kind; })->name;
}

Script parse_faults(std::string_view text) {
  Script script;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream split(line.substr(0, line.find('#')));
    const std::vector<std::string> words{std::istream_iterator<std::string>(split), {}};
    if (words.empty()) continue;
    if (words[0] != "own-iv") {
      script.rules.push_back(rule_in(words, line));
      continue;
    }
    if (words.size() > 2 || (words.size() == 2 && words[1] != "late")) refuse(line);
    script.own_iv = words.size() == 2 ? OwnIv::Late : OwnIv::AtInit;
  }
  return script;
}

void FaultFile::reload() {
  const std::uint64_t initializations = calls_[Fn::Initialize];
  calls_.clear();
  const std::string text = path_.empty() ? std::string() : text_of_file(path_);
  if (text == text_) {
    calls_[Fn::Initialize] = initializations;
    return;
  }
  script_ = parse_faults(text);
  text_ = text;
}

Faults FaultFile::next(Fn fn) {
  const std::lock_guard lock(mutex_);
  if (fn == Fn::Initialize) reload();
  const std::uint64_t call = ++calls_[fn];
  Faults faults;
  faults.own_iv = script_.own_iv;
  for (const Rule& rule : script_.rules)
    if (rule.fn == fn && (rule.call == 0 || rule.call == call)) faults.rules[rule.kind] = rule;
  return faults;
}

}  // namespace qpcseal::forward
