// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bench_site.h"

#include <cstdlib>

#include "base/bytes.h"
#include "base/file.h"

namespace qpcseal::bench {

BenchSite::BenchSite(const Workspace& work, std::string program, std::string device, std::size_t size)
    : work_(work), program_(std::move(program)), device_(std::move(device)) {
  setenv("QPCSEAL_HOME", work.file("home").c_str(), 1);  // NOLINT(concurrency-mt-unsafe): no threads yet
  // network.elf has a quarter of the size of constants.bin.
  run_device({"sample", "--out", model(), "--size", std::to_string(size / 5 * 4)});
  run_device(
      {"provision", "--dir", work.file("cards"), "--cards", "1", "--roots-out", work.file("root.pem")});
  write_policy();
  make_folder(work.file("trust"), 0700);
  std::filesystem::copy_file(work.file("root.pem"), work.file("trust/root.pem"));
  run_program({"init", "--embedded", "--insecure-demo", "--appliance-id", "bench", "--policy",
               work.file("policy.toml"), "--trust", work.file("trust")});
  run_program({"mek", "generate", "bench"});
  bind();
}

Command BenchSite::encrypt(const std::string& mode, const std::string& out) const {
  return {program_, "encrypt-model", "--qpc", model(), "--mek", "bench", "--mode", mode, "--output-dir", out};
}

Command BenchSite::load(bool out) const {
  Command command{
      device_, "load", "--dir", work_.file("cards"), "--device", "0", work_.file("bound/programqpc.bin")};
  if (out) command.insert(command.end(), {"--out", work_.file("out")});
  return command;
}

void BenchSite::run_program(Command arguments) const {
  arguments.insert(arguments.begin(), program_);
  run_process(arguments);
}

void BenchSite::run_device(Command arguments) const {
  arguments.insert(arguments.begin(), device_);
  run_process(arguments);
}

// The one for trials, with the second mode allowed too.
void BenchSite::write_policy() const {
  const std::string path = work_.file("policy.toml");
  run_process({device_, "describe", "--dir", work_.file("cards"), "--device", "0", "--policy"}, path);
  const std::string modes = "modes = [\"token\"]";
  std::string text(text_view(read_file(path, std::size_t{1} << 20)));
  text.replace(text.find(modes), modes.size(), "modes = [\"token\", \"envelope\"]");
  write_file(path, view(text), Existing::Replace, 0600);
}

void BenchSite::bind() const {
  run_program({"attest", "request", "--mek", "bench", "-o", work_.file("request")});
  run_device(
      {"attest", "--dir", work_.file("cards"), "-i", work_.file("request"), "-o", work_.file("report")});
  run_program({"encrypt-model", "--qpc", model(), "--mek", "bench", "--output-dir", work_.file("bound"),
               "--pub-keys", work_.file("report")});
}

}  // namespace qpcseal::bench
