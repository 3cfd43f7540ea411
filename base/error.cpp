#include "base/error.h"

#include <cerrno>
#include <system_error>

namespace qpcseal {

std::string errno_text(int code) { return std::generic_category().message(code); }

void throw_errno(const std::string& what) {
  const int code = errno;
  throw Error(ErrorKind::Io, what + ": " + errno_text(code));
}

}  // namespace qpcseal
