// SPDX-License-Identifier: Apache-2.0
// What a command returns, and the one printer that renders it as text or as JSON.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/finding.h"
#include "base/table.h"
#include "base/text.h"

namespace qpcseal::cli {

// `text` is for people, `json` for programs; both say the same. `exit_code` is 0 except for a denial.
struct Report {
  // A result that grows with the log, handed over piece by piece while it is printed: `write_text` in place
  // of `text`, `write_items` the items of json's empty list `list`. Either may throw Error.
  struct Streamed {
    std::string list;
    std::function<void(const std::function<void(std::string_view)>& put)> write_text;
    std::function<void(const std::function<void(const nlohmann::ordered_json&)>& put)> write_items;
  };

  std::string text;
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  int exit_code = 0;
  std::optional<Streamed> streamed = std::nullopt;
  std::vector<std::filesystem::path> written = {};  // files that the command made; a folder: all below it
  std::optional<std::uint64_t> log_entry =
      std::nullopt;  // the last one that a command read, which wrote none
};

// json's member `written`: each file with its SHA-256, read again. What went to standard output has no name.
// Error{Io}.
void add_written(Report& report);

// Hands the whole result to `put`, as text or as JSON (lib/base/print.h).
void put_report(const Report& report, bool json, const std::function<void(std::string_view)>& put);

// One line a finding: "POL-DBGSTAT: dbgstat is 0, expected at least 3 (policy.toml:12)".
std::vector<std::string> finding_lines(const Findings& findings);
nlohmann::ordered_json as_json(const Findings& findings);

}  // namespace qpcseal::cli
