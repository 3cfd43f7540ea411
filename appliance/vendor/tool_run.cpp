// SPDX-License-Identifier: Apache-2.0
#include "appliance/vendor/tool_run.h"

#include "appliance/release/exposure.h"
#include "base/error.h"

namespace qpcseal::vendor {

namespace {

constexpr std::uint64_t kRoom = std::uint64_t{1} << 30;  // bytes beside twice the input

}  // namespace

void set_limits(ToolRun& run, std::uint64_t input_bytes, std::chrono::seconds time) {
  run.limits.bytes = 2 * input_bytes + kRoom;
  confine::Limits& limits = run.job.limits;
  limits.wall = time;
  limits.cpu = static_cast<std::uint64_t>(time.count());
  limits.memory = release::kToolMemory;
  limits.file_size = limits.without_name = run.limits.bytes;
  limits.output = std::size_t{4} << 20;  // what it says goes nowhere; a large model may say much
  run.job.folders.push_back({kToolOutput, run.dir.open(), true});
  run.job.watch = [&run] { return over_limits(run.dir.path(), run.limits); };
}

void add_words(confine::Job& job, std::initializer_list<std::string> words) {
  job.command.insert(job.command.end(), words);
}

std::vector<ToolOutput> run_and_take(const ToolRun& run) {
  const confine::Finished done = confine::run(run.job);
  if (done.end != confine::End::Exited || done.code != 0)
    throw Error(ErrorKind::Io, "the vendor's tool " + done.words());
  return take_outputs(run.dir.path(), run.limits);
}

}  // namespace qpcseal::vendor
