// SPDX-License-Identifier: Apache-2.0
// Man pages out of the same command tree that --help prints, so that the two cannot differ.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace qpcseal::cli {

// More of a page than the tree knows.
struct ManualSection {
  std::string title;  // in capitals
  std::string text;   // paragraphs; a line that starts with two blanks stays as it is
};

struct ManualFacts {
  std::string program;  // "qpcseal"
  std::string purpose;  // a few words, for the line under NAME
  std::string version;
  std::string date;                     // "2026-11-25"
  std::vector<ManualSection> sections;  // ENVIRONMENT, FILES, ...
  std::vector<std::string> see_also;    // "qpcseal-attest(1)"
  std::string path = {};                // how it is called; empty: as `program`
};

// A page in man(7): synopsis, every command with every option that is not hidden, exit codes and examples
// from the footers.
std::string man_page(const CLI::App& app, const ManualFacts& facts);

// For a tree that is complete: --help in the same words, and the hidden flag --man, which prints the page; of
// a command that has commands a page of its own ("qpcseal-mek(1)"). `app` must live as long as it parses.
void add_manual(CLI::App& app, ManualFacts facts);

// Prints what --help, --version or --man asked for (a ParseError whose exit code is 0); returns the exit
// code.
int print_help(const CLI::App& app, const CLI::ParseError& asked);

}  // namespace qpcseal::cli
