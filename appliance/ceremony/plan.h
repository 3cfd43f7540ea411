// SPDX-License-Identifier: Apache-2.0
// A ceremony's plan: what is done, in which order, by whom, on which kind of token. TOML, read as strictly as
// a policy. Officers sign the file's bytes (namespace plan@qpcseal), and these bytes are what runs. Module,
// slot and PIN source are not in it: they belong to the site. docs/FORMAT.md section 9.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace qpcseal::ceremony {

inline constexpr std::size_t kMaxPlanSize = 65536;  // bytes
inline constexpr std::size_t kMaxInput = 65536;     // bytes of a file that a step reads
inline constexpr std::string_view kPlanNamespace = "plan@qpcseal";

struct TokenRule {
  std::string manufacturer, model, signing;  // signing: "ed25519" or "ecdsa-p256"
  std::vector<std::int64_t> suites;          // that the token must serve
  std::vector<std::string> lacking;          // desired key attributes that it may lack
  bool anchor = false;                       // the token must keep the log's anchor
};

struct Person {
  std::string name, role;
  std::string officer;  // the name under which they sign; empty: no officer
};

struct Step {
  std::string id, act;  // act: "mek-generate", ... (step_rules.h)
  std::string who, see, say;
  std::map<std::string, std::string> arguments;  // "mek", "output", ...: what the act wants
  int line = 0;
};

// Files that the step reads, each with the SHA-256 that the plan names for it.
struct Input {
  std::string file, sha256;
  std::string digest_name;  // the argument that has it
};
std::vector<Input> step_inputs(const Step& step);
// The one file that it writes, or nothing.
std::optional<std::string> step_output(const Step& step);

struct Plan {
  std::string file, id, title, appliance, aud, sha256;  // aud: hex; sha256 of the bytes, hex
  std::string text, place;                              // place: where it is held; empty: not named
  std::string image;  // root hash of the image that must run, hex; empty: any, or none
  UnixTime valid_until = 0;
  unsigned threshold = 0;  // officers who must sign
  bool rehearsed = true;   // a run wants the record of a rehearsal
  TokenRule token;
  std::vector<Person> people;
  std::vector<Step> steps;

  [[nodiscard]] const Step* step(std::string_view name) const;
};

// "name#3", or "name": the one generation that there is.
struct MekReference {
  std::string name;
  std::uint64_t generation = 0;  // 0: not named
};
// Error{Usage} for what names no MEK.
MekReference parse_reference(const std::string& text);

// Whether the text has the name of the plan format.
[[nodiscard]] bool is_plan_text(std::string_view text);

// Error{Malformed} "FILE:LINE: ...".
Plan parse_plan(std::string_view text, const std::string& file);

// The plan in words, for people to agree or disagree with.
std::string show(const Plan& plan);

}  // namespace qpcseal::ceremony
