// SPDX-License-Identifier: Apache-2.0
#include "confine/sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "base/error.h"
#include "base/pipe.h"
#include "base/retry.h"
#include "confine/command_line.h"
#include "confine/launch.h"
#include "confine/processes.h"
#include "process/system_calls.h"

namespace qpcseal::confine {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTick = 10;         // milliseconds
constexpr int kLook = 100;        // milliseconds
constexpr int kSignalBase = 128;  // bubblewrap's exit status of a program that a signal ended
constexpr int kLastSignal = 64;
constexpr std::size_t kMaxStatus = 16384;  // bytes
constexpr std::size_t kPiece = 16384;      // bytes

// One whose bytes are counted as they come out.
struct CountedPipe : Pipe {
  std::size_t taken = 0;
};

// The number behind "name": in bubblewrap's status; nothing where it is not there.
std::optional<long> number_in(const std::string& status, const std::string& name) {
  const std::size_t at = status.find("\"" + name + "\":");
  if (at == std::string::npos) return std::nullopt;
  const std::size_t first = status.find_first_of("-0123456789", at + name.size() + 3);
  if (first == std::string::npos) return std::nullopt;
  try {
    return std::stol(status.substr(first));
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

// RLIMIT_NPROC does not hold root's processes, which are counted instead. The thread that counts goes before
// however many there are.
class FirstInLine {
 public:
  FirstInLine() {
    errno = 0;
    before_ = getpriority(PRIO_PROCESS, 0);
    raised_ = errno == 0 && geteuid() == 0 && setpriority(PRIO_PROCESS, 0, -20) == 0;
  }
  ~FirstInLine() {
    if (raised_) static_cast<void>(setpriority(PRIO_PROCESS, 0, before_));
  }
  FirstInLine(const FirstInLine&) = delete;
  FirstInLine& operator=(const FirstInLine&) = delete;

 private:
  int before_ = 0;
  bool raised_ = false;
};

class Run {
 public:
  Run(const Job& job, const FeedSecret& feed_secret)
      : job_(job), feed_secret_(feed_secret), input_(memory_file(job.input)) {
    launch();
  }
  ~Run() { end(); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  Finished finish() {
    wait_for_sandbox();
    feed_secret();
    start();
    const FirstInLine first;
    const auto deadline = Clock::now() + job_.limits.wall;
    while (!is_over() && go_on(deadline)) {
    }
    end();
    drain();
    return conclude();
  }

 private:
  void launch() {
    secret_.emplace();
    Launch launch;
    // Each run reads a file by a position of its own.
    std::vector<Fd> files;
    for (const GivenFile& file : job_.files) {
      files.emplace_back(
          open(("/proc/self/fd/" + std::to_string(file.bytes->get())).c_str(), O_RDONLY | O_CLOEXEC));
      if (!files.back()) throw_errno(file.inside);
      launch.keep.push_back(files.back().get());
    }
    const Fd filter = memory_file(process::encode_filter(process::Calls::Sandboxed));
    const int secret = job_.secret ? secret_->read.get() : -1;
    const std::vector<std::string> words =
        bubblewrap_command(job_, {launch.keep, secret, status_.write.get(), start_.read.get(), filter.get()});
    for (const std::string& word : words) launch.words.push_back(const_cast<char*>(word.c_str()));
    launch.words.push_back(nullptr);
    launch.keep.insert(launch.keep.end(), {status_.write.get(), start_.read.get(), filter.get()});
    if (job_.secret) launch.keep.push_back(secret_->read.get());
    for (const GivenFolder& dir : job_.folders) {
      launch.keep.push_back(dir.dir.get());
      struct stat status{};
      if (fstat(dir.dir.get(), &status) != 0) throw_errno(dir.inside);
      if (dir.writable) writable_.insert(status.st_dev);
    }
    launch.standard = {input_.get(), output_.write.get(), errors_.write.get()};
    launch.limits = job_.limits;
    launch.filter = process::encode_filter(process::Calls::Launcher);
    if (child_ = fork(); child_ < 0) throw_errno("fork");
    if (child_ == 0) launch.become();
    for (Fd* ours : {&status_.write, &start_.read, &output_.write, &errors_.write, &secret_->read})
      *ours = Fd();
    for (const Fd* ours : {&output_.read, &errors_.read, &status_.read})
      static_cast<void>(fcntl(ours->get(), F_SETFL, O_NONBLOCK));
  }

  // Until bubblewrap says which process is the sandbox's first. A sandbox that cannot stand has none.
  void wait_for_sandbox() {
    const auto deadline = Clock::now() + std::chrono::seconds(30);
    while (!(inner_ = number_in(status_text_, "child-pid"))) {
      pump();
      if (reaped_ || Clock::now() > deadline) fail();
    }
    inner_fd_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(*inner_), 0)));
    const rlimit most{job_.limits.processes, job_.limits.processes};
    static_cast<void>(prlimit(static_cast<pid_t>(*inner_), RLIMIT_NPROC, &most, nullptr));
  }

  void feed_secret() {
    if (job_.secret) feed_secret_(secret_->write);
    secret_.reset();
  }

  void start() {
    tasks_before_ = all_tasks();
    started_ = true;
    const std::uint8_t go = 1;
    static_cast<void>(retry_interrupted([&] { return ::write(start_.write.get(), &go, 1); }));
  }

  // False where the run is to end.
  bool go_on(Clock::time_point deadline) {
    pump();
    if (said_too_much()) return stop(End::Output);
    // RLIMIT_NPROC does not hold root. Counting is slow where there are many, so the cheap number comes
    // first.
    const bool due = Clock::now() >= next_look_;
    if (!due && all_tasks() <= tasks_before_ + job_.limits.processes) return true;
    // The sandbox's first process is bubblewrap's.
    if (inner_ && processes_with(*inner_, job_.limits.processes + 1) > job_.limits.processes + 1)
      return stop(End::Processes);
    if (!due) return true;
    next_look_ = Clock::now() + std::chrono::milliseconds(kLook);
    if (Clock::now() > deadline) return stop(End::TimedOut);
    if (inner_ && bytes_without_name(*inner_, writable_) > job_.limits.without_name)
      out_.why =
          "held more than " + std::to_string(job_.limits.without_name) + " bytes in files without a name";
    if (out_.why.empty() && job_.watch) out_.why = job_.watch();
    return out_.why.empty() || stop(End::Stopped);
  }

  bool stop(End how) {
    stopped_ = how;
    return false;
  }

  // Over when bubblewrap has ended: its sandbox's processes have then, too.
  bool is_over() {
    if (!reaped_ && retry_interrupted([&] { return waitpid(child_, &wait_status_, WNOHANG); }) == child_)
      reaped_ = true;
    return reaped_;
  }

  void pump() {
    std::array<pollfd, 3> wanted{
        {{output_.read.get(), POLLIN, 0}, {errors_.read.get(), POLLIN, 0}, {status_.read.get(), POLLIN, 0}}};
    for (pollfd& one : wanted)
      if (one.fd < 0) one.events = 0;
    poll(wanted.data(), wanted.size(), is_over() ? 0 : kTick);
    drain();
  }

  void drain() {
    const bool keep = !started_ || !job_.secret;  // else it could be the secret
    take(output_, job_.limits.output, [&](ByteView bytes) {
      if (keep) append(out_.output, bytes);
    });
    take(errors_, job_.limits.output, [&](ByteView bytes) {
      if (keep) out_.errors += text_view(bytes);
    });
    take(status_, kMaxStatus, [&](ByteView bytes) { status_text_ += text_view(bytes); });
  }

  // At most one byte more than `most`: that one tells.
  template <typename Put>
  void take(CountedPipe& from, std::size_t most, const Put& put) {
    while (from.read && from.taken <= most) {
      const MutableBytes room = buffer_.bytes().first(std::min(buffer_.size(), most + 1 - from.taken));
      const ssize_t got =
          retry_interrupted([&] { return ::read(from.read.get(), room.data(), room.size()); });
      if (got == 0) from.read = Fd();
      if (got <= 0) return;
      from.taken += static_cast<std::size_t>(got);
      put(ByteView(room.first(static_cast<std::size_t>(got))));
    }
  }

  [[nodiscard]] bool said_too_much() const {
    return output_.taken > job_.limits.output || errors_.taken > job_.limits.output;
  }

  // Kills the sandbox's first process, and with it the kernel kills all others before bubblewrap ends.
  void end() noexcept {
    if (child_ <= 0) return;
    if (inner_fd_) static_cast<void>(syscall(SYS_pidfd_send_signal, inner_fd_.get(), SIGKILL, nullptr, 0));
    if (!inner_fd_ && !reaped_) ::kill(child_, SIGKILL);
    for (int i = 0; i < 1000 && !is_over(); ++i) usleep(kTick * 1000);
    if (!reaped_) ::kill(child_, SIGKILL);
    while (!reaped_ && waitpid(child_, &wait_status_, 0) < 0 && errno == EINTR) {
    }
    child_ = -1;
    if (!inner_fd_) return;
    pollfd gone{inner_fd_.get(), POLLIN, 0};
    retry_interrupted([&] { return poll(&gone, 1, 10000); });
    inner_fd_ = Fd();
  }

  [[noreturn]] void fail() {
    end();
    drain();
    const std::string why = out_.errors.substr(0, out_.errors.find('\n'));
    throw Error(
        ErrorKind::Io, "the sandbox cannot be set up: " + (why.empty() ? "no word from bubblewrap" : why),
        "bubblewrap needs user namespaces; 'bwrap --unshare-all --ro-bind / / true' shows whether it works");
  }

  Finished conclude() {
    const auto code = number_in(status_text_, "exit-code");
    if (stopped_) {
      out_.end = *stopped_;
    } else if (!code && started_ && WIFSIGNALED(wait_status_)) {
      out_.end = End::Stopped;
      out_.why = "lost its sandbox, which something else ended";
    } else if (!code) {
      fail();
    } else {
      const bool killed = *code > kSignalBase && *code <= kSignalBase + kLastSignal;
      out_.end = killed ? End::Killed : End::Exited;
      out_.code = static_cast<int>(killed ? *code - kSignalBase : *code);
      if (said_too_much()) out_.end = End::Output;
    }
    const Limits& most = job_.limits;
    if (out_.end == End::TimedOut) out_.why = "ran longer than " + std::to_string(most.wall.count()) + " s";
    if (out_.end == End::Output)
      out_.why = "wrote more than " + std::to_string(most.output) + " bytes of output";
    if (out_.end == End::Processes)
      out_.why = "had more than " + std::to_string(most.processes) + " processes";
    return std::move(out_);
  }

  const Job& job_;
  const FeedSecret& feed_secret_;
  Fd input_;
  CountedPipe output_, errors_, status_;
  Pipe start_;
  std::optional<Pipe> secret_;
  pid_t child_ = -1;
  int wait_status_ = 0;
  bool reaped_ = false, started_ = false;
  std::optional<long> inner_;
  Fd inner_fd_;
  Clock::time_point next_look_;
  std::set<dev_t> writable_;  // file systems
  std::uint64_t tasks_before_ = 0;
  std::string status_text_;
  SecretBuffer buffer_{kPiece};
  std::optional<End> stopped_;
  Finished out_;
};

}  // namespace

std::string Finished::words() const {
  if (end == End::Exited) return "ended with exit status " + std::to_string(code);
  if (end == End::Killed)  // bubblewrap has one number for both
    return "was killed by signal " + std::to_string(code) + ", or ended with exit status " +
           std::to_string(kSignalBase + code);
  return why;
}

std::string fault_of_sandbox() {
  Job trial;
  trial.command = {kTrial};
  try {
    trial.folders.push_back({"/qpcseal/trial", open_to_read(kTrial), false});
    const Finished done = run(trial);
    return done.end == End::Exited && done.code == 0 ? "" : "a program in the sandbox " + done.words();
  } catch (const Error& error) {
    return error.what();
  }
}

Finished run_directly(const Job& job, const FeedSecret& feed_secret) {
  if (access(kBubblewrap, X_OK) != 0)
    throw Error(ErrorKind::Io,
                std::string(kBubblewrap) + " is missing: another maker's program runs in no other way",
                "apt-get install bubblewrap");
  return Run(job, feed_secret).finish();
}

}  // namespace qpcseal::confine
