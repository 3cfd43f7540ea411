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
  if (code == EAGAIN) return "raise the limit on processes and threads (ulimit -u; TasksMax= in a unit)";
  if (code == EFBIG) return "raise the limit on the size of files (ulimit -f; LimitFSIZE= in a unit)";
  return "";
}

// The cause that an errno names.
std::string_view code_for(int code) {
  switch (code) {
    case ENOENT:
    case ENOTDIR:
      return "not-found";
    case EEXIST:
      return "output-exists";
    case ENOSPC:
    case EDQUOT:
      return "disk-full";
    case EACCES:
    case EPERM:
      return "no-permission";
    case EROFS:
      return "read-only";
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case EAGAIN:
    case ENOMEM:
      return "limit-reached";
    default:
      return {};
  }
}

std::string_view code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Internal:
      break;
    case ErrorKind::Usage:
      return "usage";
    case ErrorKind::Io:
      return "io";
    case ErrorKind::Malformed:
      return "malformed";
    case ErrorKind::Denied:
      return "denied";
    case ErrorKind::Token:
      return "token";
    case ErrorKind::ApprovalsMissing:
      return "approvals-missing";
    case ErrorKind::LogDamaged:
      return "log-damaged";
    case ErrorKind::DoneWithFault:
      return "done-with-fault";
    case ErrorKind::Interrupted:
      return "interrupted";
  }
  return "internal";
}

}  // namespace

std::string_view Error::code() const noexcept { return code_.empty() ? code_of(kind_) : code_; }

Error Error::with_code(std::string_view code) const {
  Error out = *this;
  out.code_ = code;
  return out;
}

Error Error::with_hint(std::string hint) const {
  Error out = *this;
  out.hint_ = std::move(hint);
  return out;
}

Error Error::in_context(const std::string& context) const {
  Error out(kind_, context + ": " + what(), hint_, findings_);
  out.code_ = code_;
  return out;
}

std::string errno_text(int code) { return std::generic_category().message(code); }

void throw_errno(const std::string& what) {
  const int code = errno;
  throw Error(ErrorKind::Io, what + ": " + errno_text(code), hint_for(code)).with_code(code_for(code));
}

Error io_error(const std::system_error& error) {
  const auto* of_file = dynamic_cast<const std::filesystem::filesystem_error*>(&error);
  const std::string where = of_file != nullptr ? of_file->path1().string() + ": " : "";
  const int code = error.code().value();
  return Error(ErrorKind::Io, where + error.code().message(), hint_for(code)).with_code(code_for(code));
}

}  // namespace qpcseal
