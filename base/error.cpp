#include "base/error.h"

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace qpcseal {

std::string errno_text(int code) { return std::generic_category().message(code); }

void throw_errno(const std::string& what) {
  const int code = errno;
  throw Error(ErrorKind::Io, what + ": " + errno_text(code));
}

Error io_error(const std::system_error& error) {
  const auto* of_file = dynamic_cast<const std::filesystem::filesystem_error*>(&error);
  const std::string where = of_file != nullptr ? of_file->path1().string() + ": " : "";
  return {ErrorKind::Io, where + error.code().message()};
}

}  // namespace qpcseal
