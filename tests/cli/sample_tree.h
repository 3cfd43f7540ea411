// SPDX-License-Identifier: Apache-2.0
// A small program's commands: a group, a command with arguments, and what people are not shown.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace qpcseal::testing {

struct SampleTree {
  SampleTree() {
    app.require_subcommand(1);
    app.add_option("--clock", clock, "The time");
    app.add_flag("--quiet", quiet, "Say less");
    app.add_flag("--trace", trace, "For us")->group("");
    CLI::App* mek = app.add_subcommand("mek", "Keys");
    mek->require_subcommand(1);
    mek->add_subcommand("list", "All keys");
    CLI::App* generate = mek->add_subcommand("generate", "A new key");
    generate->add_option("NAME", name, "Its name")->required();
    CLI::App* seal = app.add_subcommand("seal", "Seal models");
    seal->add_option("-o,--output", output, "Where to")->required();
    seal->add_option("--mode", mode, "How")->check(CLI::IsMember({"token", "envelope"}));
    seal->add_flag("-f,--force", force, "Replace it");
    seal->add_option("MODEL", model, "What");
    seal->add_option("MORE", more, "What else");
    app.add_subcommand("probe", "For us")->group("");
  }

  CLI::App app{"Seals models.", "sealer"};
  bool quiet = false, trace = false, force = false;
  std::string clock, name, output, mode, model;
  std::vector<std::string> more;
};

}  // namespace qpcseal::testing
