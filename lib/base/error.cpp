// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace qpcseal {

namespace {

// What mends an error that a limit of the process makes.
const char* hint_for(int code) {
  if (code == EMFILE) return "raise the limit on open files (ulimit -n; LimitNOFILE= in a unit)";
  if (code == EFBIG) return "raise the limit on the size of files (ulimit -f; LimitFSIZE= in a unit)";
  return "";
}

}  // namespace

std::string errno_text(int code) { return std::generic_category().message(code); }

void throw_errno(const std::string& what) {
  const int code = errno;
  throw Error(ErrorKind::Io, what + ": " + errno_text(code), hint_for(code));
}

Error io_error(const std::system_error& error) {
  const auto* of_file = dynamic_cast<const std::filesystem::filesystem_error*>(&error);
  const std::string where = of_file != nullptr ? of_file->path1().string() + ": " : "";
  return {ErrorKind::Io, where + error.code().message(), hint_for(error.code().value())};
}

}  // namespace qpcseal
