// SPDX-License-Identifier: Apache-2.0
// Pipes, and bytes that wait in one.
#include "base/pipe.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/base/expect_error.h"
#include "tests/process/in_child.h"

namespace qpcseal {
namespace {

// All that comes until the other ends are closed.
Bytes drained(const Fd& from) {
  Bytes out, piece(4096);
  for (ssize_t got = 1; (got = read(from.get(), piece.data(), piece.size())) > 0;)
    append(out, ByteView(piece).first(static_cast<std::size_t>(got)));
  return out;
}

// Of a pipe that somebody makes now, in bytes.
std::size_t room_of_a_pipe() { return static_cast<std::size_t>(fcntl(Pipe().write.get(), F_GETPIPE_SZ)); }

TEST(Pipe, PassesBytesAndIsClosedByExec) {
  Pipe pipe;
  EXPECT_NE(fcntl(pipe.read.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(fcntl(pipe.write.get(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_EQ(write(pipe.write.get(), "abc", 3), 3);
  pipe.write.close();
  EXPECT_EQ(text_view(drained(pipe.read)), "abc");
}

TEST(Pipe, SaysThatThereAreNoDescriptors) {
  EXPECT_EQ(process::tests::in_child([] {
              const rlimit few{3, 3};
              setrlimit(RLIMIT_NOFILE, &few);
              return testing::throws_error(ErrorKind::Io, "pipe: Too many open files", [] { Pipe(); }) ? 0
                                                                                                       : 1;
            }),
            0);
}

TEST(PipeWith, HoldsItsBytesAndThenEnds) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, room_of_a_pipe()}) {
    const Bytes bytes(size, 'x');
    const Fd pipe = pipe_with(bytes);
    EXPECT_EQ(fcntl(pipe.get(), F_GETFL) & O_NONBLOCK, 0) << "its reader waits as for any pipe";
    EXPECT_NE(fcntl(pipe.get(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_EQ(drained(pipe), bytes);
  }
}

TEST(PipeWith, RefusesWhatDoesNotFitAndDoesNotWait) {
  for (const std::size_t more : {std::size_t{1}, room_of_a_pipe()})
    EXPECT_ERROR(Io, "pipe: no room for ", pipe_with(Bytes(room_of_a_pipe() + more)));
}

}  // namespace
}  // namespace qpcseal
