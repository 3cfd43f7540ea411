// SPDX-License-Identifier: Apache-2.0
// Scheme "external:NAME": reports in a form that is not public, verified by a program of the site's. It runs
// confined (lib/confine), gets the report on standard input, and answers one JSON object of claims
// (FORMAT.md, "Scheme external"). What it says counts as evidence; challenge and policy are judged here as
// ever.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "attest/scheme.h"
#include "confine/pinned.h"

namespace qpcseal::attest {

inline constexpr std::size_t kMaxAnswer = 65536;  // bytes
inline constexpr std::string_view kAnswerFormat = "qpcseal/external/1";

struct VerifierProgram {
  std::string name;  // NAME
  confine::Pin program;
  std::vector<confine::Pin> files;  // what it is given beside the system's /usr
};

// Loads the program and its files. Error{Denied} where one is not what its pin names; Error{Io}.
std::unique_ptr<Scheme> make_external_scheme(const VerifierProgram& program);

// Reads an answer strictly: one finding ATT-EXTERNAL-ANSWER for the first member that is missing, unknown or
// bad. `verifier` is filled but for the program's digest.
std::optional<Claims> parse_external_answer(ByteView answer, ExternalVerifier& verifier, Findings& findings);

}  // namespace qpcseal::attest
