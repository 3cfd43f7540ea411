// SPDX-License-Identifier: Apache-2.0
#include "cli/exit_code.h"

namespace qpcseal::cli {

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Internal:
      return 1;
    case ErrorKind::Usage:
      return 2;
    case ErrorKind::Io:
      return 3;
    case ErrorKind::Malformed:
      return 4;
    case ErrorKind::Denied:
      return 5;
    case ErrorKind::Token:
      return 6;
    case ErrorKind::ApprovalsMissing:
      return 7;
    case ErrorKind::LogDamaged:
      return 8;
    case ErrorKind::DoneWithFault:
      return 9;
    case ErrorKind::Interrupted:
      return 130;  // 128 + SIGINT, as shells say it
  }
  return 1;
}

}  // namespace qpcseal::cli
