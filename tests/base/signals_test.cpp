// SPDX-License-Identifier: Apache-2.0
// Signals while something is under way, and as before afterwards; calls that one interrupts.
#include "base/signals.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>

#include <cerrno>

#include "base/retry.h"
#include "tests/base/expect_error.h"
#include "tests/process/in_child.h"

namespace qpcseal {
namespace {

volatile std::sig_atomic_t handled = 0, handled_before = 0;
void count_now(int) { handled = handled + 1; }
void count_before(int) { handled_before = handled_before + 1; }

struct sigaction action_of(int signal) {
  struct sigaction out{};
  sigaction(signal, nullptr, &out);
  return out;
}

class Signals : public ::testing::Test {
 protected:
  void SetUp() override {
    handled = 0;
    handled_before = 0;
    for (const int signal : {SIGUSR1, SIGUSR2}) std::signal(signal, count_before);
  }
  void TearDown() override {
    for (const int signal : {SIGUSR1, SIGUSR2}) std::signal(signal, SIG_DFL);
  }
};

TEST_F(Signals, HaveTheHandlerUntilTheEndOfItsLife) {
  {
    const SignalHandlers handlers({SIGUSR1, SIGUSR2}, count_now, 0);
    std::raise(SIGUSR1);
    std::raise(SIGUSR2);
  }
  EXPECT_EQ(handled, 2);
  EXPECT_EQ(handled_before, 0);
  std::raise(SIGUSR1);
  std::raise(SIGUSR2);
  EXPECT_EQ(handled, 2);
  EXPECT_EQ(handled_before, 2);
}

TEST_F(Signals, HaveItsFlags) {
  {
    const SignalHandlers restarting({SIGUSR1}, count_now, SA_RESTART), once({SIGUSR2}, count_now, 0);
    EXPECT_NE(action_of(SIGUSR1).sa_flags & SA_RESTART, 0);
    EXPECT_EQ(action_of(SIGUSR2).sa_flags & SA_RESTART, 0);
  }
  EXPECT_NE(action_of(SIGUSR2).sa_flags & SA_RESTART, 0) << "those of before";
}

TEST_F(Signals, ThatAreIgnoredStaySo) {
  std::signal(SIGUSR1, SIG_IGN);
  {
    const SignalHandlers handlers({SIGUSR1, SIGUSR2}, count_now, 0);
    std::raise(SIGUSR1);
    std::raise(SIGUSR2);
    EXPECT_EQ(handled, 1);
  }
  EXPECT_EQ(action_of(SIGUSR1).sa_handler, SIG_IGN);
  EXPECT_EQ(action_of(SIGUSR2).sa_handler, count_before);
}

bool has_come(const SignalInput& input) {
  pollfd one{input.descriptor(), POLLIN, 0};
  return poll(&one, 1, 0) == 1;
}

bool is_blocked(int signal) {
  sigset_t now;
  sigprocmask(SIG_BLOCK, nullptr, &now);
  return sigismember(&now, signal) == 1;
}

TEST_F(Signals, ComeAsInputAndAgainOnceTheyAreTaken) {
  {
    const SignalInput input(SIGUSR1);
    EXPECT_NE(fcntl(input.descriptor(), F_GETFD) & FD_CLOEXEC, 0);
    input.take();  // none has come, and it does not wait
    for (int i = 0; i < 2; ++i) {
      EXPECT_FALSE(has_come(input));
      std::raise(SIGUSR1);
      EXPECT_TRUE(has_come(input));
      input.take();
    }
    EXPECT_FALSE(has_come(input));
    std::raise(SIGUSR2);
    EXPECT_FALSE(has_come(input)) << "another signal";
  }
  EXPECT_EQ(handled_before, 1) << "the other one alone";
  EXPECT_FALSE(is_blocked(SIGUSR1));
  std::raise(SIGUSR1);
  EXPECT_EQ(handled_before, 2);
}

TEST_F(Signals, AreBlockedAfterwardsWhereTheyWereBefore) {
  const SignalInput outer(SIGUSR1);
  {
    const SignalInput inner(SIGUSR1);
  }
  EXPECT_TRUE(is_blocked(SIGUSR1));
}

TEST_F(Signals, AreAsBeforeWhereThereIsNoDescriptor) {
  EXPECT_EQ(process::tests::in_child([] {
              const rlimit few{3, 3};
              setrlimit(RLIMIT_NOFILE, &few);
              const auto refused = testing::throws_error(ErrorKind::Io, "signalfd: Too many open files",
                                                         [] { const SignalInput input(SIGUSR1); });
              return refused && !is_blocked(SIGUSR1) ? 0 : 1;
            }),
            0);
}

// A call that gives these results one after the other: a negative one is the errno.
struct Calls {
  std::vector<int> results;
  std::size_t made = 0;
  int operator()() {
    const int result = results.at(made++);
    if (result >= 0) return result;
    errno = -result;
    return -1;
  }
};

TEST(RetryInterrupted, MakesTheCallAgainUntilItIsNot) {
  Calls calls{{-EINTR, -EINTR, 7, 8}};
  EXPECT_EQ(retry_interrupted(calls), 7);
  EXPECT_EQ(calls.made, 3U);
}

TEST(RetryInterrupted, GivesAnyOtherFailureAsItIs) {
  Calls calls{{-EINTR, -EIO, 7}};
  EXPECT_EQ(retry_interrupted(calls), -1);
  EXPECT_EQ(errno, EIO);
  EXPECT_EQ(calls.made, 2U);
}

TEST(RetryInterrupted, LooksAtNoErrnoOfASuccess) {
  Calls calls{{0, 1}};
  errno = EINTR;
  EXPECT_EQ(retry_interrupted(calls), 0);
  EXPECT_EQ(calls.made, 1U);
}

}  // namespace
}  // namespace qpcseal
