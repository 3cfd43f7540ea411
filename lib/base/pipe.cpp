// SPDX-License-Identifier: Apache-2.0
#include "base/pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/retry.h"

namespace qpcseal {

Pipe::Pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe");
  read = Fd(ends[0]);
  write = Fd(ends[1]);
}

Fd pipe_with(ByteView bytes) {
  Pipe pipe;
  if (fcntl(pipe.write.get(), F_SETFL, O_NONBLOCK) != 0) throw_errno("pipe");
  const ssize_t written =
      retry_interrupted([&] { return ::write(pipe.write.get(), bytes.data(), bytes.size()); });
  if (written < 0) throw_errno("pipe");
  if (written != static_cast<ssize_t>(bytes.size()))
    throw Error(ErrorKind::Io, "pipe: no room for " + std::to_string(bytes.size()) + " bytes");
  return std::move(pipe.read);
}

}  // namespace qpcseal
