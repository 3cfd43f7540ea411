// SPDX-License-Identifier: Apache-2.0
// An appliance, a card and a model for benchmarks, made by the programs themselves.
#pragma once

#include <string>

#include "tests/bench/process.h"

namespace qpcseal::bench {

// `program` and `device` are the paths of qpcseal and qpcseal-device.
class BenchSite {
 public:
  // A model of about `size` bytes, a MEK, and the model sealed and bound to the card. Sets QPCSEAL_HOME.
  BenchSite(const Workspace& work, std::string program, std::string device, std::size_t size);

  [[nodiscard]] std::string model() const { return work_.file("model.qpc"); }
  // Seals the model into the folder `out`, in that mode.
  [[nodiscard]] Command encrypt(const std::string& mode, const std::string& out) const;
  // Loads the bound model on the card; with `out` also writes what was opened.
  [[nodiscard]] Command load(bool out) const;

 private:
  void run_program(Command arguments) const;
  void run_device(Command arguments) const;
  void write_policy() const;
  void bind() const;

  const Workspace& work_;
  std::string program_, device_;
};

}  // namespace qpcseal::bench
