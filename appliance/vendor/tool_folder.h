// SPDX-License-Identifier: Apache-2.0
// The private folder that the vendor's tool works in, beside the output that it becomes in one step or not at
// all.
//
// The tool's account is ours, and it may give its folder and the files in it any mode: a program with the
// set-id bit in a folder that others reach would be our account for all of them. So the folder lies in
// another one of mode 0700, which the tool never sees, until its contents are looked at.
#pragma once

#include <filesystem>

#include "base/file.h"
#include "base/temporary.h"

namespace qpcseal::vendor {

class KnownOutputs;

class ToolFolder {
 public:
  // `output`: what the folder becomes. One that is there must be empty; or, where it may be replaced, hold
  // nothing but what the log names (`known`, which stays), since all of it goes. Error{Io}, Error{Denied}.
  ToolFolder(const std::filesystem::path& output, bool replace, const KnownOutputs& known);
  ~ToolFolder();  // without publish(): all of it is removed
  ToolFolder(const ToolFolder&) = delete;
  ToolFolder& operator=(const ToolFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] Fd open() const;  // for the sandbox
  // Copies the files of `from` into it, or into a folder in it; their bytes together come back.
  std::uint64_t fill(const std::filesystem::path& from, const std::string& below = "") const;
  // Does with a folder and a file of its own what take_outputs() and publish() will do with the tool's; and
  // looks for room for so many bytes. Error{Io} where one of them does not work here.
  void rehearse(std::uint64_t bytes) const;
  // Error{Io} where the output is not any more what it was: nothing of it is replaced then.
  void publish();
  // Removes all of it. Whether it is gone.
  bool discard() noexcept;

 private:
  void make_place() const;

  const KnownOutputs& known_;
  std::filesystem::path output_, path_;
  TemporaryFile stage_;
  bool replace_ = false, done_ = false;
};

}  // namespace qpcseal::vendor
