// SPDX-License-Identifier: Apache-2.0
#include "appliance/approval/officers.h"

#include <algorithm>
#include <set>

#include "base/digest.h"
#include "base/error.h"
#include "base/text_file.h"
#include "encoding/file_kind.h"

namespace qpcseal::approval {

namespace {

Error bad_officers(const std::string& what) { return {ErrorKind::Malformed, what}; }

std::string_view take_word(std::string_view& rest) {
  const std::size_t start = std::min(rest.find_first_not_of(" \t"), rest.size());
  rest.remove_prefix(start);
  std::size_t end = 0;
  for (bool quoted = false; end < rest.size() && (quoted || (rest[end] != ' ' && rest[end] != '\t')); ++end)
    if (rest[end] == '"') quoted = !quoted;
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end);
  return word;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (c == separator && !quoted) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  if (quoted) throw bad_officers("a quote is not closed");
  return out;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == '\n') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

// YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, then Z.
UnixTime parse_validity(std::string text) {
  if (!text.ends_with('Z'))
    throw bad_officers("time '" + text + "' lacks the final Z: without it the local zone would count");
  text.pop_back();
  if (text.size() == 8) text += "0000";
  if (text.size() == 12) text += "00";
  if (text.size() != 14) throw bad_officers("time '" + text + "' is not YYYYMMDD[HHMM[SS]]Z");
  return parse_time(text.substr(0, 4) + "-" + text.substr(4, 2) + "-" + text.substr(6, 2) + "T" +
                    text.substr(8, 2) + ":" + text.substr(10, 2) + ":" + text.substr(12, 2) + "Z");
}

void check_name(const std::string& name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '@' || c == '+';
  };
  if (name.empty() || name.size() > 128 || !std::ranges::all_of(name, allowed))
    throw bad_officers("'" + name + "' is not one plain name (patterns and lists of names are refused)");
}

void read_option(Officer& officer, const std::string& option) {
  const std::size_t equals = option.find('=');
  const std::string key = option.substr(0, equals);
  if (option.empty() && officer.namespaces.empty())
    throw bad_officers("nothing stands behind the name '" + officer.name + "': was the line broken in two?");
  if (equals == std::string::npos)
    throw bad_officers("option '" + key + "' is refused; behind the name comes namespaces=\"...\"");
  std::string value = option.substr(equals + 1);
  if (value.size() < 2 || !value.starts_with('"') || !value.ends_with('"'))
    throw bad_officers("option '" + key + "' wants quotes");
  value = value.substr(1, value.size() - 2);
  if (key == "namespaces" && officer.namespaces.empty()) {
    officer.namespaces = split(value, ',');
  } else if (key == "valid-after" && !officer.valid_after) {
    officer.valid_after = parse_validity(value);
  } else if (key == "valid-before" && !officer.valid_before) {
    officer.valid_before = parse_validity(value);
  } else {
    throw bad_officers("option '" + key + "' is unknown or stands twice");
  }
}

Officer parse_line(std::string_view rest) {
  Officer officer;
  officer.name = take_word(rest);
  check_name(officer.name);
  for (const auto& option : split(take_word(rest), ',')) read_option(officer, option);
  const auto odd = [](const std::string& name) {
    return name.empty() || name.find_first_of("*?! ") != std::string::npos;
  };
  if (officer.namespaces.empty() || std::ranges::any_of(officer.namespaces, odd))
    throw bad_officers("a namespaces option with plain names is required");
  const std::string type(take_word(rest));
  officer.key = parse_ssh_key(from_base64(take_word(rest)));
  if (officer.key.type != type) throw bad_officers("the key is not of the kind that the line names");
  return officer;
}

void refuse_same_key(const std::vector<Officer>& list, const Officer& next) {
  for (const auto& officer : list)
    if (officer.key.blob == next.key.blob)
      throw bad_officers("the key of line " + std::to_string(officer.line) +
                         " again: a key belongs to one officer");
}

std::string folded(std::string name) {
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return name;
}

// `anna` and `Anna` would count as two people.
void refuse_other_spelling(const std::vector<Officer>& list, const Officer& next) {
  for (const auto& officer : list)
    if (officer.name != next.name && folded(officer.name) == folded(next.name))
      throw bad_officers("'" + next.name + "' is '" + officer.name + "' of line " +
                         std::to_string(officer.line) +
                         " in other letters: write one person's name in one way");
}

bool contains(const std::vector<std::string>& list, std::string_view text) {
  return std::ranges::find(list, text) != list.end();
}

Finding finding(std::string id, std::string claim, std::string observed, std::string expected,
                unsigned line = 0) {
  return {std::move(id), std::move(claim), std::move(observed), std::move(expected),
          line == 0 ? "officers" : "officers:" + std::to_string(line)};
}

std::string with_cr_lf(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out;
}

// Whether the same text was signed with other line ends: a system on the way changed them.
bool signs_other_line_ends(const SshSignature& signature, std::string_view sig_namespace, ByteView message) {
  const std::string_view text = text_view(message);
  if (!wide_encoding(text).empty()) return false;
  const std::string lf = plain_text(text);
  return verify_sshsig(signature, sig_namespace, view(lf)) ||
         verify_sshsig(signature, sig_namespace, view(with_cr_lf(lf)));
}

// The first reason why this officer's signature does not count, if there is one.
std::optional<Finding> objection(const Officer& officer, std::string_view sig_namespace, const Tally& tally,
                                 UnixTime now) {
  if (!contains(officer.namespaces, sig_namespace))
    return finding("POL-SIGNATURE-NAMESPACE", officer.name, "may not sign here", std::string(sig_namespace),
                   officer.line);
  if (officer.valid_after && now < *officer.valid_after)
    return finding("POL-SIGNATURE-EARLY", officer.name, format_time(now),
                   format_time(*officer.valid_after) + " or later", officer.line);
  if (officer.valid_before && now >= *officer.valid_before)
    return finding("POL-SIGNATURE-LATE", officer.name, format_time(now),
                   "before " + format_time(*officer.valid_before), officer.line);
  for (const auto& seen : tally.approvers)
    if (seen.name == officer.name)
      return finding("POL-SIGNATURE-TWICE", officer.name, "signed twice", "distinct people", officer.line);
  return std::nullopt;
}

void count(Tally& tally, const Officers& officers, std::string_view sig_namespace, ByteView message,
           const std::string& text, UnixTime now) {
  const SshSignature signature = parse_sshsig(text);
  const std::string fingerprint = ssh_fingerprint(signature.key.blob);
  const auto officer = std::ranges::find_if(
      officers.list, [&](const Officer& each) { return each.key.blob == signature.key.blob; });
  if (officer == officers.list.end()) {
    tally.findings.push_back(
        finding("POL-SIGNATURE-UNKNOWN", "key", fingerprint, "a key of the officers file"));
  } else if (!verify_sshsig(signature, sig_namespace, message)) {
    const bool line_ends = signs_other_line_ends(signature, sig_namespace, message);
    const std::string other = signature.sig_namespace == sig_namespace
                                  ? "over another file"
                                  : "in namespace " + signature.sig_namespace;
    tally.findings.push_back(finding("POL-SIGNATURE-BAD", officer->name + "'s signature",
                                     line_ends ? "over the same text with other line ends" : other,
                                     "one over these bytes in namespace " + std::string(sig_namespace),
                                     officer->line));
  } else if (auto reason = objection(*officer, sig_namespace, tally, now)) {
    tally.findings.push_back(*reason);
  } else {
    tally.approvers.push_back({officer->name, fingerprint, sha256_hex(text)});
  }
}

}  // namespace

std::size_t count_signers(const Officers& officers, std::string_view sig_namespace, UnixTime now) {
  std::set<std::string> people;
  for (const Officer& officer : officers.list)
    if (!objection(officer, sig_namespace, {}, now)) people.insert(officer.name);
  return people.size();
}

namespace {

Officers read_lines(std::string_view text) {
  Officers out;
  out.digest = copy(sha256(view(text)));
  unsigned number = 0;
  for (const auto& line : lines_of(plain_text(text))) {
    ++number;
    const std::string where = "officers:" + std::to_string(number);
    if (line.empty() || line.starts_with('#')) continue;
    with_context(where, [&] {
      Officer officer = parse_line(line);
      officer.line = number;
      refuse_same_key(out.list, officer);
      refuse_other_spelling(out.list, officer);
      out.list.push_back(std::move(officer));
    });
  }
  if (out.list.empty()) throw bad_officers("officers: nobody is listed");
  return out;
}

}  // namespace

Officers parse_officers(std::string_view text) {
  if (text.size() > kMaxOfficersFile) throw bad_officers("officers: too large");
  return encoding::as_kind(view(text), "an officers file", [&] { return read_lines(text); });
}

Tally tally_signatures(const Officers& officers, std::string_view sig_namespace, ByteView message,
                       const std::vector<std::string>& signatures, UnixTime now) {
  Tally tally;
  for (const auto& text : signatures) {
    try {
      count(tally, officers, sig_namespace, message, text, now);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Malformed) throw;
      tally.findings.push_back(
          finding("POL-SIGNATURE-MALFORMED", "signature", error.what(), "an SSH signature"));
    }
  }
  return tally;
}

}  // namespace qpcseal::approval
